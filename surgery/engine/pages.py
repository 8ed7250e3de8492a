"""Memory straight from the system, which goes back to it when it is let go of; what ``malloc`` gives may not."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from contextlib import suppress
from functools import cache

__all__ = ["give_back", "pages"]


def pages(nbytes: int) -> mmap.mmap:
    """So many bytes of memory. Its pages are there when they are first touched; large ones, where the system has them.

    Raises:
        OSError: there is not so much.
    """
    memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is not None:
        with suppress(OSError):
            memory.madvise(advice)
    return memory


def give_back() -> None:
    """Let memory that ``malloc`` keeps for later, as it does with what torch has freed, go back to the system.

    (Of the GNU C library; elsewhere nothing happens.)
    """
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    with suppress(OSError, AttributeError):
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
        return trim
    return lambda _: None
