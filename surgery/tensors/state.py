"""The state of a file: what tells whether it is still the one whose headers were read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from surgery.diagnostics import SurgeryError, fail

__all__ = ["FileState", "check_state", "gone", "refuse_changed"]


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was at some moment.

    Attributes:
        size: in bytes.
        written: when it was last written to, in nanoseconds.
        inode: its number in its file system: what takes its name has another.
    """

    size: int
    written: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The state that the system tells."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


def refuse_changed(path: str, was: FileState, now: FileState) -> None:
    """Whether a file is what it was.

    Raises:
        SurgeryError: code ``source-changed``.
    """
    if now == was:
        return
    message = f"`{path}` was written to, or replaced, after its headers were read"
    if now.size != was.size:
        message = f"`{path}` had {was.size} bytes when its headers were read, and has {now.size} now"
    raise fail("source-changed", message, notes=("make the plan, or the model, again",))


def check_state(path: str, was: FileState) -> None:
    """The same of whatever is at that path now.

    Raises:
        SurgeryError: code ``source-changed``: it is something else, or there is nothing.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise gone(path, error) from error
    refuse_changed(path, was, FileState.of(status))


def gone(path: str, error: OSError) -> SurgeryError:
    """The error about a file that was there when its headers were read."""
    return fail("source-changed", f"`{path}` cannot be opened any more: {error.strerror}", cause=error)
