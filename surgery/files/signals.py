"""Requests to stop, as exceptions, so that what is unfinished is removed; none is lost."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["TERMINATED", "Terminated", "raise_again", "signals_raised"]

#: the exit status of a process that ends because it was asked to terminate
TERMINATED = 128 + signal.SIGTERM


class Terminated(SystemExit):
    """The process was asked to terminate. Uncaught, it ends the process with status 143."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


_ERRORS: dict[int, Callable[[], BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
#: what signals have raised
_raised: list[Callable[[], BaseException]] = []


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM, `KeyboardInterrupt` on SIGINT, where nobody handles them."""
    in_main = threading.current_thread() is threading.main_thread()
    unhandled = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL} if in_main else {}
    replaced = {number: plain for number, plain in unhandled.items() if signal.getsignal(number) is plain}
    hook = sys.unraisablehook
    for number in replaced:
        signal.signal(number, _raise)
    if replaced:
        sys.unraisablehook = _silent_about_signals(hook)
    try:
        yield
    except Exception as error:
        # what is interrupted halfway may fail in ways of its own, locks of `threading` among them
        if _raised:
            raise _raised[-1]() from error
        raise
    finally:
        for number, plain in replaced.items():
            signal.signal(number, plain)
        if replaced:
            sys.unraisablehook = hook
            _raised.clear()


def raise_again() -> None:
    """Raise what a signal has raised already: Python ignores exceptions in finalizers and callbacks of weak references.

    Raises:
        KeyboardInterrupt, Terminated: a signal arrived before.
    """
    if _raised:
        raise _raised[-1]()


def _raise(number: int, frame: FrameType | None) -> None:
    _raised.append(_ERRORS[number])
    raise _ERRORS[number]()


def _silent_about_signals(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def report(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt | Terminated):
            hook(unraisable)

    return report
