"""The standard streams of a process, in whatever state it gets them."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

__all__ = ["prepare", "unwritable"]


def prepare() -> None:
    """Make stdout and stderr take any text: a closed one swallows it, one of a poor encoding gets escapes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unwritable(stream: TextIO) -> OSError | None:
    """Why nothing can be printed to a stream, found out by a line end; None if that goes through.

    Such a stream is pointed at nothing, or Python would try once more when it exits, and complain.
    """
    try:
        stream.write("\n")
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None
