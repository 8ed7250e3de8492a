"""The screen of ``surgery test``: a line for each case, what went wrong below it, and the numbers at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surgery.diagnostics import Diagnostic
from surgery.report.errors import diagnostic_lines
from surgery.report.json import errors_document, place_document
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table_rows
from surgery.testing.outcome import Outcome, Tested
from surgery.wording import counted

__all__ = ["summary_lines", "tested_lines", "tests_document"]

_STYLES = {"ok": "good", "failed": "error", "skipped": "warning"}


def tested_lines(tested: Tested) -> list[Line]:
    """A recipe and its cases, each with its status and time, and whatever went wrong."""
    if tested.errors:
        return [line(tested.recipe, "  ", piece("cannot be read", "error")), *_details(tested.errors)]
    if not tested.outcomes:
        return [line(tested.recipe, "  ", piece("no tests", "warning"))]
    rows = table_rows([_row(outcome) for outcome in tested.outcomes], indent=2)
    found = [line(piece(tested.recipe, "title"))]
    for outcome, lines in zip(tested.outcomes, rows, strict=True):
        found += [*lines, *_details(outcome.diagnostics)]
        if outcome.status == "failed":
            found += [line("      ", piece(text, "quiet")) for text in outcome.printed.splitlines()]
    return found


def _row(outcome: Outcome) -> list[Cell]:
    where = f"{outcome.span.place}, " if outcome.span is not None and outcome.status == "failed" else ""
    beside = outcome.reason if outcome.status == "skipped" else f"{where}{outcome.seconds:.1f} s"
    return [piece(outcome.status, _STYLES[outcome.status]), outcome.name, piece(beside, "quiet")]


def _details(diagnostics: Sequence[Diagnostic]) -> list[Line]:
    return [line("    ", *one) for diagnostic in diagnostics for one in diagnostic_lines(diagnostic)]


def summary_lines(found: Sequence[Tested]) -> list[Line]:
    """The numbers: ``12 tests of 5 recipes: 11 ok, 1 skipped; 1 recipe without tests; 8.2 s``."""
    outcomes = [outcome for tested in found for outcome in tested.outcomes]
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in _STYLES}
    parts = [piece(f"{count} {status}", _STYLES[status]) for status, count in counts.items() if count]
    joined = [part for number, one in enumerate(parts) for part in ((piece(", "), one) if number else (one,))]
    broken = sum(bool(tested.errors) for tested in found)
    untested = len(found) - broken - sum(bool(tested.outcomes) for tested in found)
    more = [
        f"; {counted(n, 'recipe')} {what}"
        for n, what in ((broken, "that cannot be read"), (untested, "without tests"))
        if n
    ]
    total = f"{counted(len(outcomes), 'test')} of {counted(len(found), 'recipe')}"
    seconds = sum(outcome.seconds for outcome in outcomes)
    return [line(total, ": " if joined else "", *joined, *more, f"; {seconds:.1f} s")]


def tests_document(found: Sequence[Tested]) -> dict[str, Any]:
    """``recipes``: each with its ``file``, its ``errors``, and its ``tests``; and ``totals`` of these by status."""
    recipes = []
    for tested in found:
        tests = [_outcome_document(outcome) for outcome in tested.outcomes]
        recipes.append({"file": tested.recipe, **errors_document(tested.errors), "tests": tests})
    totals = {status: sum(tested.count(status) for tested in found) for status in ("ok", "failed", "skipped")}
    return {"recipes": recipes, "totals": totals}


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "status": outcome.status,
        "seconds": round(outcome.seconds, 3),
        "place": place_document(outcome.span),
        "reason": outcome.reason or None,
        **errors_document(outcome.diagnostics),
    }
