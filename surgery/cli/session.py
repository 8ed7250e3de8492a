"""One invocation of the command line: what it prints, and where."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from surgery.diagnostics import Diagnostic
from surgery.report.errors import diagnostic_lines
from surgery.report.lines import Line
from surgery.report.terminal import columns_of, show

__all__ = ["Session", "session"]

#: errors and warnings that are printed for people
_MOST = 20


@dataclass(slots=True)
class Session:
    """Results go to stdout, everything else to stderr.

    Attributes:
        json: whether results and errors are printed as JSON.
        quiet: whether nothing but errors is printed.
    """

    json: bool = False
    quiet: bool = False

    @property
    def columns(self) -> int | None:
        """The width to keep to on stdout; None where it is no terminal."""
        return columns_of(sys.stdout)

    def show(self, lines: Iterable[Line]) -> None:
        """Print a result."""
        show(lines, sys.stdout)

    def print_json(self, document: Mapping[str, Any]) -> None:
        """Print a result as JSON, with the version of its form."""
        sys.stdout.write(json.dumps({"version": 1, **document}, indent=2, ensure_ascii=True) + "\n")

    def complain(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Print errors and warnings on stderr; with ``--quiet``, errors only."""
        shown = [d for d in diagnostics if d.severity == "error" or not self.quiet]
        for number, diagnostic in enumerate(shown[:_MOST]):
            if number:
                sys.stderr.write("\n")
            show(diagnostic_lines(diagnostic), sys.stderr)
        if len(shown) > _MOST:
            sys.stderr.write(f"\n… and {len(shown) - _MOST} more; --json prints all\n")


def session() -> Session:
    """The session of the command that runs."""
    found = click.get_current_context().find_object(Session)
    assert found is not None, "main makes a session for every invocation"
    return found
