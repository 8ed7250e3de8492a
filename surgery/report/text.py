"""Paragraphs on the screen."""

from __future__ import annotations

import textwrap

from surgery.report.lines import Line, line

__all__ = ["wrapped"]

_READABLE = 100


def wrapped(text: str, columns: int | None = None) -> list[Line]:
    """Paragraphs, at most 100 columns wide; lines that are indented stay as they are."""
    found: list[Line] = []
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            found.append(())
        if any(one[:1].isspace() for one in paragraph.split("\n")):
            found += [line(one) for one in paragraph.split("\n")]
        else:
            size = min(columns or _READABLE, _READABLE)
            found += [line(one) for one in textwrap.wrap(" ".join(paragraph.split()), size, break_on_hyphens=False)]
    return found
