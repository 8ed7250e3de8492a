"""The check screen: a line for each recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from surgery.diagnostics import Diagnostic
from surgery.report.lines import Line, piece
from surgery.report.table import Cell, table
from surgery.wording import counted

__all__ = ["check_lines"]


def check_lines(found: Mapping[str, Sequence[Diagnostic]]) -> list[Line]:
    """Each recipe with the number of its errors and warnings.

    >>> from surgery.report.lines import plain
    >>> print(plain(check_lines({"a.yaml": ()})), end="")
    a.yaml  ok
    """
    rows: list[list[Cell]] = []
    for name, diagnostics in found.items():
        errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
        warnings = len(diagnostics) - errors
        counts = [counted(count, what) for count, what in ((errors, "error"), (warnings, "warning")) if count]
        verdict = piece(", ".join(counts), "error" if errors else "warning") if counts else piece("ok", "good")
        rows.append([name, verdict])
    return table(rows)
