"""A request to terminate, as an exception, so that what is unfinished is removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["TERMINATED", "Terminated", "termination_raised"]

#: the exit status of a process that ends because it was asked to terminate
TERMINATED = 128 + signal.SIGTERM


class Terminated(SystemExit):
    """The process was asked to terminate. Uncaught, it ends the process with status 143."""


@contextmanager
def termination_raised() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM, where nothing else handles it."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated(TERMINATED)

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
