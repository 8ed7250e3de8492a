"""A thread's memory on the way into files, aligned so that the disk can take it directly."""

from __future__ import annotations

import ctypes

from surgery.engine.pages import pages
from surgery.files.writer import BLOCK

__all__ = ["WINDOW", "Window"]

#: bytes that are gathered before they are written
WINDOW = 4 << 20
#: pages of this size make one piece of memory for the disk, where the system has them
_LARGE_PAGE = 2 << 20


class Window:
    """`WINDOW` bytes of memory, used again and again."""

    def __init__(self) -> None:
        kept = pages(WINDOW + BLOCK + _LARGE_PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(kept))
        self._memory = memoryview(kept)[-address % _LARGE_PAGE :]

    def at(self, offset: int, length: int) -> memoryview:
        """Room for `length` bytes of a file from `offset`, lying in memory as in the file modulo the block size."""
        assert length <= WINDOW, "a window holds no more"
        begin = offset % BLOCK
        return self._memory[begin : begin + length]
