"""Errors and warnings on the screen."""

from __future__ import annotations

from surgery.diagnostics import Diagnostic
from surgery.report.lines import Line, line, piece

__all__ = ["diagnostic_lines"]


def diagnostic_lines(diagnostic: Diagnostic) -> list[Line]:
    """A diagnostic, its parts in colour where there are colours."""
    first, *more = str(diagnostic).split("\n")
    mark = f"{diagnostic.severity}[{diagnostic.code}]"
    before, found, after = first.partition(mark)
    lines = [line(before, piece(found, diagnostic.severity), piece(after, "title"))]
    for text in more:
        style = "error" if text.strip(" |^") == "" and "^" in text else ""
        lines.append(line(piece(text, style)))
    return lines
