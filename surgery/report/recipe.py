"""The screen of a recipe: what it is for, its parameters, what it takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.report.lines import Line, line, piece, plain
from surgery.report.table import Cell, table
from surgery.report.text import wrapped

if TYPE_CHECKING:
    from surgery.params import Param
    from surgery.recipe import Recipe

__all__ = ["recipe_lines", "recipe_text", "words_of"]


def recipe_text(recipe: Recipe) -> str:
    """The recipe as plain text."""
    return plain(recipe_lines(recipe))


def recipe_lines(recipe: Recipe, *, columns: int | None = None) -> list[Line]:
    """What the recipe says of itself."""
    found = [line(piece(recipe.name, "title"), piece(f"  {recipe.display}", "quiet"))]
    found += wrapped(recipe.description, columns)
    rows: list[list[Cell]] = [[piece(name, "head"), what] for name, what in _content(recipe)]
    found += [(), *table(rows, "ll")]
    if recipe.params:
        params = [_param(param) for param in recipe.params.values()]
        found += [(), line(piece("parameters", "title")), *table(params, "lll", indent=2)]
    return found


def _content(recipe: Recipe) -> list[tuple[str, str]]:
    """Source, steps, output and tests in the recipe's own words: what depends on a parameter has no value yet."""
    document = recipe.document
    sources = document.get("source") if isinstance(document, MapNode) else None
    several = document.get("sources") if isinstance(document, MapNode) else None
    outputs = document.get("output") if isinstance(document, MapNode) else None
    found = [(f"source {name}", words_of(node)) for name, node in several] if isinstance(several, MapNode) else []
    if not found:
        found = [("source", words_of(sources) if sources else "given by the caller")]
    names = [step.name for step in recipe.steps]
    found.append(("steps", ", ".join(names) if names else "none"))
    found.append(("output", words_of(outputs) if outputs else "none: give one with -o, or use the result in Python"))
    tests = [case.name for case in recipe.content.tests]
    return [*found, ("tests", "; ".join(tests))] if tests else found


def words_of(node: Node) -> str:
    """A node on one line, without the braces of a mapping."""
    match node:
        case MapNode():
            return ", ".join(f"{key} {words_of(value)}" for key, value in node)
        case ListNode(items=items):
            return "; ".join(map(words_of, items))
        case Scalar(value=value):
            return "null" if value is None else str(value)
    raise AssertionError(node)


def _param(param: Param) -> list[Cell]:
    if param.required:
        given = "required"
    elif param.origin is not None:
        given = f"from {param.origin.value}"
    else:
        given = f"default {param.default}"
    choices = f"one of {', '.join(map(str, param.choices))}" if param.choices else ""
    said = "; ".join(part for part in (param.help, choices) if part)
    return [piece(param.name, "head"), f"{param.type_name}, {given}", said]
