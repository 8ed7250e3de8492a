"""``surgery list``: what a recipe may name, and the recipes that ship."""

from __future__ import annotations

from typing import Any

import click

from surgery.cli.session import session
from surgery.registry import Registry
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table

__all__ = ["command"]


def _recipes() -> list[list[Cell]]:
    from surgery.api import load
    from surgery.library import shipped

    return [[piece(name, "head"), load(path).description] for name, path in shipped().items()]


def _registered(registry: Registry[Any]) -> list[list[Cell]]:
    from surgery.report.reference import summary

    return [[piece(name, "head"), summary(registry[name])] for name in registry]


def _steps() -> list[list[Cell]]:
    from surgery.steps import STEPS

    return _registered(STEPS)


def _operations() -> list[list[Cell]]:
    from surgery.ops import OPS

    return _registered(OPS)


def _sources() -> list[list[Cell]]:
    from surgery.sources import SOURCES

    return _registered(SOURCES)


def _codes() -> list[list[Cell]]:
    from surgery.codes import all_codes, page

    return [[piece(code, "head"), page(code).title] for code in all_codes()]


def _limits() -> list[list[Cell]]:
    from surgery.limits import NAMES, about, shown_limit

    return [[piece(name, "head"), shown_limit(name), about(name)["about"]] for name in NAMES]


def _permissions() -> list[list[Cell]]:
    from surgery.permissions import PERMISSIONS

    return [[piece(word, "head"), text] for word, text in PERMISSIONS.items()]


_LISTS = {
    "recipes": _recipes,
    "steps": _steps,
    "operations": _operations,
    "sources": _sources,
    "limits": _limits,
    "permissions": _permissions,
    "codes": _codes,
}


@click.command("list")
@click.argument("what", metavar="[WHAT]", required=False, type=click.Choice(list(_LISTS)))
def command(what: str | None) -> None:
    """List recipes, steps, operations, sources, limits, permissions or codes; the first four if WHAT is left out."""
    if what is not None:
        session().show(table(_LISTS[what]()))
        return
    found: list[Line] = []
    for name in ("recipes", "steps", "operations", "sources"):
        found += [*([()] if found else []), line(piece(name, "title")), *table(_LISTS[name](), indent=2)]
    session().show(found)
