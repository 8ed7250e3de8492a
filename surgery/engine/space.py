"""Files that are about to be written, and whether there is room for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from surgery.diagnostics import Span, fail
from surgery.sinks.layout import FileLayout
from surgery.tensors.spec import format_bytes

__all__ = ["OpenFile", "check_space"]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is being written: its layout, and where it is open.

    Attributes:
        path: its name in messages.
    """

    layout: FileLayout
    descriptor: int
    path: Path
    span: Span | None = None


def check_space(files: Iterable[tuple[OpenFile, int]]) -> None:
    """Refuse what cannot fit before it is written.

    Args:
        files: each with the bytes that are still to be written.

    Raises:
        SurgeryError: code ``no-space``.
    """
    wanted: dict[int, int] = {}
    first: dict[int, OpenFile] = {}
    for file, size in files:
        device = os.fstat(file.descriptor).st_dev
        wanted[device] = wanted.get(device, 0) + size
        first.setdefault(device, file)
    for device, file in first.items():
        state = os.fstatvfs(file.descriptor)
        free = state.f_bavail * state.f_frsize
        if wanted[device] > free:
            sizes = f"{format_bytes(wanted[device])} are to be written, and {format_bytes(free)} are free"
            raise fail("no-space", f"no space for `{file.path}`: {sizes}", file.span, ("nothing was written",))
