"""``surgery list``: what a recipe may name, and the recipes that ship."""

from __future__ import annotations

import os
from typing import Any

import click

from surgery.cli.session import session
from surgery.cli.usage import Misused
from surgery.registry import Registry
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table
from surgery.suggest import did_you_mean

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


def _importers() -> list[list[Cell]]:
    from surgery.importers.base import IMPORTERS

    return _registered(IMPORTERS)


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
    "importers": _importers,
    "limits": _limits,
    "permissions": _permissions,
    "codes": _codes,
}


@click.command("list")
@click.argument("what", metavar="[WHAT]", required=False, shell_complete=lambda *_: list(_LISTS))
def command(what: str | None) -> None:
    """List recipes, steps, operations, sources, importers, limits, permissions or codes.

    Without WHAT, the first four. WHAT may also be where recipes lie: a directory, `pkg:NAME`, or a repository.

    \b
    surgery list operations
    surgery list github:org/repo@v1
    """
    if what is not None:
        session().show(table(_LISTS[what]()) if what in _LISTS else _catalogue(what))
        return
    found: list[Line] = []
    for name in ("recipes", "steps", "operations", "sources"):
        found += [*([()] if found else []), line(piece(name, "title")), *table(_LISTS[name](), indent=2)]
    session().show(found)


def _catalogue(place: str) -> list[Line]:
    from surgery.catalogue import catalogue
    from surgery.references.parse import is_path
    from surgery.report.catalogue import catalogue_lines

    if is_path(place) and not os.path.isdir(place):
        near = did_you_mean(place, _LISTS)
        message = f"there is no list `{place}`, and no directory of that name"
        raise Misused(message, near or f"lists: {', '.join(_LISTS)}")
    return catalogue_lines(catalogue(place))
