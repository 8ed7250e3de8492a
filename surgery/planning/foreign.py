"""What a recipe from elsewhere may write: files below the directory where its caller stands, and over nothing."""

from __future__ import annotations

import os
from pathlib import Path

from surgery.diagnostics import Span, fail
from surgery.planning.context import Context

__all__ = ["refuse_outside"]


def refuse_outside(path: Path, context: Context, span: Span | None) -> None:
    """Refuse a path of a recipe from elsewhere that leads out of the directory of its caller, by links too.

    What is hidden there (``.git``, ``.venv``) belongs to programs, and is refused as well.

    Raises:
        SurgeryError: ``not-allowed``.
    """
    if not context.is_foreign:
        return
    here, there = Path(os.path.realpath(context.directory)), Path(os.path.realpath(path))
    if not there.is_relative_to(here) or any(part.startswith(".") for part in there.relative_to(here).parts):
        note = "a recipe from elsewhere writes below the directory where it is run, or where its caller says: `-o PATH`"
        raise fail("not-allowed", f"`{path}` is not below this directory, or hidden there", span, (note,))
