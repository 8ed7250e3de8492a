"""``surgery list``: what a recipe may name, and the recipes that ship."""

from __future__ import annotations

from collections.abc import Callable

import click

from surgery.cli.session import session
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table

__all__ = ["command"]


_LISTS = ("recipes", "steps", "operations", "sources", "codes")


@click.command("list")
@click.argument("what", metavar="[WHAT]", required=False, type=click.Choice(_LISTS))
def command(what: str | None) -> None:
    """List recipes, steps, operations, sources or codes; all but the error codes if WHAT is left out."""
    lists: dict[str, Callable[[], list[list[Cell]]]] = {
        "recipes": _recipes,
        "steps": _steps,
        "operations": _operations,
        "sources": _sources,
        "codes": _codes,
    }
    wanted = [what] if what else _LISTS[:-1]
    found: list[Line] = []
    for number, name in enumerate(wanted):
        if what is None:
            found += [*([()] if number else []), line(piece(name, "title"))]
        found += table(lists[name](), indent=0 if what else 2)
    session().show(found)


def _recipes() -> list[list[Cell]]:
    from surgery.api import load
    from surgery.library import shipped

    return [[piece(name, "head"), load(path).description or ""] for name, path in shipped().items()]


def _steps() -> list[list[Cell]]:
    from surgery.report.reference import summary
    from surgery.steps import STEPS

    return [[piece(name, "head"), summary(STEPS[name])] for name in STEPS]


def _operations() -> list[list[Cell]]:
    from surgery.ops import OPS
    from surgery.report.reference import summary

    return [[piece(name, "head"), summary(OPS[name])] for name in OPS]


def _sources() -> list[list[Cell]]:
    from surgery.report.reference import summary
    from surgery.sources import SOURCES

    return [[piece(name, "head"), summary(SOURCES[name])] for name in SOURCES]


def _codes() -> list[list[Cell]]:
    from surgery.codes import all_codes, page

    return [[piece(code, "head"), page(code).title] for code in all_codes()]
