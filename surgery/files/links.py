"""Names that lead to files elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from surgery.diagnostics import Span
from surgery.files.failures import output_errors
from surgery.files.litter import temporary_name

__all__ = ["link"]


def link(target: Path, path: Path, *, span: Span | None = None) -> None:
    """Let `path` be a symbolic link to `target`, in one step, whatever stood there.

    Raises:
        SurgeryError: codes ``no-space``, ``output``.
    """
    with output_errors(path, span):
        if os.path.islink(path) and os.readlink(path) == os.fspath(target):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / temporary_name()
        os.symlink(target, temporary)
        os.replace(temporary, path)
