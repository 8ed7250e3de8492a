"""Room for what will be written: threads that fill it need not wait for each other, and a full disk is found early."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

from surgery.files.failures import UNAVOIDABLE

__all__ = ["allocate"]


@cache
def _fallocate() -> Callable[..., int] | None:
    """The system call: ``os.posix_fallocate`` would write blocks of zeros where the file system has none."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)


def allocate(descriptor: int, offset: int, length: int) -> None:
    """Reserve a range of a file, which grows if it has to. Nothing happens where the file system cannot.

    Raises:
        OSError: there is no room for it.
    """
    function = _fallocate()
    if function is None:
        return
    if function(ctypes.c_int(descriptor), ctypes.c_int(0), ctypes.c_int64(offset), ctypes.c_int64(length)):
        code = ctypes.get_errno()
        if code in UNAVOIDABLE:
            raise OSError(code, os.strerror(code))
