"""Progress in bytes, on a terminal only, in one line that goes when the work is done."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from surgery.cli.session import Session
from surgery.sinks.base import Progress
from surgery.tensors.spec import format_bytes

__all__ = ["progress_on_terminal"]

_EVERY = 0.1


@contextmanager
def progress_on_terminal(total: Callable[[], int], session: Session) -> Iterator[Progress | None]:
    """What counts written bytes; None where nobody watches. `total`, which takes time, is asked where somebody does."""
    if session.quiet or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(total())
    try:
        yield bar.advance
    finally:
        bar.clear()


class _Bar:
    """The line; several threads may advance it."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._begun = time.monotonic()
        self._shown = 0.0
        self._lock = threading.Lock()

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._shown < _EVERY:
                return
            self._shown = now
            speed = self._done / max(now - self._begun, 1e-3)
            of = f" of {format_bytes(self._total)}" if self._total else ""
            sys.stderr.write(f"\r\x1b[Kwriting  {format_bytes(self._done)}{of}  {format_bytes(int(speed))}/s")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
