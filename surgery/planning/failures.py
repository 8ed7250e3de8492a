"""Errors that one rule makes for many keys: told once, with their number."""

from __future__ import annotations

from surgery.diagnostics import Diagnostic, Span
from surgery.planning.context import Context

__all__ = ["Failures"]


class Failures:
    """The errors of a step, by code and place: of those that are alike the first is kept, the others are counted."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._first: dict[tuple[str, Span | None], Diagnostic] = {}
        self._more: dict[tuple[str, Span | None], int] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        """Note an error."""
        alike = (diagnostic.code, diagnostic.span)
        if self._first.setdefault(alike, diagnostic) is not diagnostic:
            self._more[alike] = self._more.get(alike, 0) + 1

    def finish(self) -> None:
        """Report what was noted."""
        for alike, diagnostic in self._first.items():
            more = self._more.get(alike, 0)
            notes = (*diagnostic.notes, f"and {more} more like it") if more else diagnostic.notes
            self._context.report(diagnostic.code, diagnostic.message, diagnostic.span, notes)
