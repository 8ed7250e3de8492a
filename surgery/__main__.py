"""Where a process starts: ``surgery``, or ``python -m surgery``. What can be interrupted is set before all else."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

__all__ = ["main"]

_INTERRUPTED = 128 + signal.SIGINT


def main() -> NoReturn:
    """Run the command line of this process. Interrupted, it ends with status 130, and without a word."""
    # an exception would not do: importing calls back what swallows it, and prints it
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, _leave)
    from surgery.cli.main import main as run

    try:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None


def _leave(number: int, frame: FrameType | None) -> None:
    """End the process at once: as long as it only imports, nothing is to be cleaned up."""
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
