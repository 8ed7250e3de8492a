"""The result screen: what was made, and where it was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from surgery.report.lines import Line, line, piece, plain
from surgery.report.plan import remark_lines, totals_words, warning_lines
from surgery.report.table import Cell, table
from surgery.tensors.spec import format_bytes
from surgery.wording import counted

if TYPE_CHECKING:
    from surgery.result import Result
    from surgery.sinks.base import Written

__all__ = ["result_lines", "result_text"]


def result_text(result: Result) -> str:
    """The result as plain text."""
    return plain(result_lines(result))


def result_lines(result: Result, *, columns: int | None = None, warnings: bool = True) -> list[Line]:
    """What the result is, in numbers, a line for each output, then what the plan remarked, and warned of.

    Without `warnings` for the command line, which gives them before the run.
    """
    found = [line(piece(result.plan.recipe.name, "title"), "  ", piece(totals_words(result.plan)))]
    rows = [_written(written) for written in result.written]
    found += [*table(rows, "lrl", columns=columns), *_notes(result)]
    found += [line("  ", *remark) for remark in remark_lines(result.plan)]
    return found + warning_lines(result.plan) if warnings else found


def _written(written: Written) -> list[Cell]:
    files = len(written.files)
    details = f"{counted(written.tensors, 'tensor')}{f' in {files} files' if files > 1 else ''}"
    where = line(piece("wrote ", "good"), _shown(written.path))
    return [where, format_bytes(sum(written.files.values())), piece(details, "quiet")]


def _shown(path: Path) -> str:
    """A path as the caller would write it: relative, where it is below where they stand."""
    below = Path.cwd()
    return str(path.relative_to(below)) if path.is_relative_to(below) else str(path)


def _notes(result: Result) -> list[Line]:
    notes = [note for written in result.written for note in written.notes]
    undigested = result.record.undigested if result.record else 0
    if undigested:
        notes.append(f"contents of the sources not digested: {format_bytes(undigested)}; `--digest` takes the time")
    return [line(piece(f"  {note}", "quiet")) for note in notes]
