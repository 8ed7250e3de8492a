"""Bytes on their way to the disk while others are still being written, so that the last ``fsync`` has little to do."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

__all__ = ["begin_writeback"]

_SYNC_FILE_RANGE_WRITE = 2
#: many small requests would cost more than they save
_WORTH = 1 << 20


@cache
def _sync_file_range() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "sync_file_range", None)


def begin_writeback(descriptor: int, offset: int, length: int) -> None:
    """Ask for a range of a file to be written to the disk, without waiting; a hint, which promises nothing."""
    function = _sync_file_range() if length >= _WORTH else None
    if function is not None:
        function(
            ctypes.c_int(descriptor),
            ctypes.c_int64(offset),
            ctypes.c_int64(length),
            ctypes.c_uint(_SYNC_FILE_RANGE_WRITE),
        )
