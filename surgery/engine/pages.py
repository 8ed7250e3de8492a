"""Memory straight from the system, which goes back to it when it is let go of; what ``malloc`` gives may not."""

from __future__ import annotations

import mmap
from contextlib import suppress

__all__ = ["pages"]


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
