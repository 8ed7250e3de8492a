"""Memory that is used again and again: fresh pages cost more time than the copy that fills them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from surgery.engine.pages import pages
from surgery.engine.pool import BUDGET

if TYPE_CHECKING:
    from surgery.ops.ways import Array

__all__ = ["STEP", "Scratch", "Scratches"]

#: what is large is lent in multiples of this
STEP = 4 << 20
_ALIGNMENT = 64


class Scratch:
    """Room for what one task computes with; what is taken is valid as long as it is lent.

    Args:
        memory: bytes to take from; what does not fit there is fresh memory.
    """

    def __init__(self, memory: Array | None = None) -> None:
        self._memory = memory
        self._used = 0

    def take(self, nbytes: int) -> Array:
        """So many bytes, not initialised, aligned for every element type."""
        import numpy

        begin = self._used
        end = begin + -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        if self._memory is None or end > self._memory.nbytes:
            return numpy.empty(nbytes, numpy.uint8)
        self._used = end
        return self._memory[begin : begin + nbytes]


class Scratches:
    """Lends scratch memory to tasks that run side by side.

    What comes back is kept for tasks of about the same size, as long as all stays within a budget together.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._lent = 0
        self._kept: list[Array] = []

    @contextmanager
    def lend(self, nbytes: int) -> Iterator[Scratch]:
        """Room for a task that takes at most `nbytes`."""
        size = _rounded(nbytes)
        memory = self._found(size)
        try:
            yield Scratch(memory)
        finally:
            with self._lock:
                self._lent -= size
                self._kept += [memory] if memory is not None else []
                self._drop()

    def _found(self, nbytes: int) -> Array | None:
        """Memory that is kept, or new; None where there is not so much, for the task may need less than it might."""
        import numpy

        with self._lock:
            self._lent += nbytes
            for number, memory in enumerate(self._kept):
                if memory.nbytes == nbytes:
                    return self._kept.pop(number)
            self._drop()
        with suppress(OSError, OverflowError):
            return numpy.frombuffer(pages(nbytes), numpy.uint8, nbytes)
        return None

    def _drop(self) -> None:
        """Let go of what has been kept for longest, until all is within the budget."""
        while self._kept and self._lent + sum(memory.nbytes for memory in self._kept) > self._budget:
            self._kept.pop(0)


def _rounded(nbytes: int) -> int:
    """Sizes that are about the same as one size: multiples of `STEP`, or below it powers of two."""
    return -(-nbytes // STEP) * STEP if nbytes > STEP else 1 << max(0, nbytes - 1).bit_length()
