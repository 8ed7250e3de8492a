"""Where lines go: to a file as plain text, to a terminal with colours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import TextIO

from surgery.report.lines import STYLES, Line, plain

__all__ = ["columns_of", "show"]


def columns_of(stream: TextIO) -> int | None:
    """How many columns there are to keep to: those of the terminal, or ``COLUMNS``; None for a file or a pipe."""
    if os.environ.get("COLUMNS", "").isdigit() or _is_terminal(stream):
        return max(40, shutil.get_terminal_size((100, 24)).columns)
    return None


def _is_terminal(stream: TextIO) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())


def show(lines: Iterable[Line], stream: TextIO) -> None:
    """Write lines to `stream`: coloured on a terminal (unless ``NO_COLOR`` is set), plain elsewhere."""
    if not _is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        stream.write(plain(lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, soft_wrap=True)
    for one in lines:
        text = Text()
        for part in one:
            text.append(part.text, STYLES[part.style] or None)
        text.rstrip()
        console.print(text)
