"""Reference pages on the screen: an error code, a step, an operation, a source."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from surgery.codes import Page
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table
from surgery.report.text import wrapped

if TYPE_CHECKING:
    from surgery.ops.base import Op
    from surgery.sources.base import Source
    from surgery.steps.base import Step

__all__ = ["code_lines", "documentation", "op_lines", "source_lines", "step_lines", "summary"]

_EXITS = {1: "a check failed", 2: "usage or an invalid recipe", 3: "a source or an output", 4: "execution"}


def documentation(thing: Any) -> str:
    """The docstring of a class for people: without doctests, and with code as Markdown marks it.

    >>> class Flip:
    ...     '''Turn ``a`` round.
    ...
    ...     >>> 1 + 1
    ...     2
    ...     '''
    >>> documentation(Flip)
    'Turn `a` round.'
    """
    text = inspect.cleandoc(thing.__doc__ or "")
    paragraphs = [part for part in text.split("\n\n") if not part.lstrip().startswith(">>>")]
    return "\n\n".join(paragraphs).replace("``", "`").strip()


def summary(thing: Any) -> str:
    """The first paragraph of the documentation, on one line."""
    return " ".join(documentation(thing).split("\n\n")[0].split())


def code_lines(page: Page, columns: int | None = None) -> list[Line]:
    """The page of an error code; the exit status of a command that ends with it stands below the title."""
    exits = f"exit status {page.exit_code}: {_EXITS.get(page.exit_code, 'other')}"
    head = [line(piece(page.code, "error"), "  ", piece(page.title, "title")), line(piece(exits, "quiet")), ()]
    return head + _markdown(page.body, columns)


def _markdown(body: str, columns: int | None) -> list[Line]:
    """Markdown as it is, but for the fences of code, which becomes indented, and long paragraphs, which are wrapped."""
    found: list[Line] = []
    inside = False
    for text in body.rstrip().split("\n"):
        if text.startswith("```"):
            inside = not inside
        elif inside:
            found.append(line(piece(f"    {text}", "head")))
        else:
            found += wrapped(text, columns) or [()]
    return found


def step_lines(name: str, step: type[Step]) -> list[Line]:
    """The page of a step: what it does, its fields, an example."""
    head = line(piece(name, "title"), piece("  step" + (", of models" if step.needs_model else ""), "quiet"))
    return [head, (), *_text(documentation(step)), *_fields(step), *_example(f"- {step.example}")]


def source_lines(name: str, source: type[Source]) -> list[Line]:
    """The page of a source."""
    head = line(piece(name, "title"), piece("  source", "quiet"))
    return [head, (), *_text(documentation(source)), *_fields(source), *_example(f"source: {source.example}")]


def op_lines(name: str, op: type[Op]) -> list[Line]:
    """The page of an operation: what it does, its arguments, an example."""
    arity = {"each": "one tensor to one", "split": "one to many", "join": "many to one", "many": "many to many"}
    head = line(piece(name, "title"), piece(f"  operation, {arity[op.arity]}", "quiet"))
    rows: list[list[Cell]] = []
    for field in dataclasses.fields(op):  # type: ignore[arg-type]  # every operation is a dataclass
        given = field.default is not dataclasses.MISSING
        rows.append([piece(field.name, "head"), f"default {field.default!r}" if given else "required"])
    arguments = [(), line(piece("arguments", "quiet")), *table(rows, indent=2)] if rows else []
    return [head, (), *_text(documentation(op)), *arguments, *_example(op.example)]


def _text(text: str) -> list[Line]:
    return [line(one) for one in text.split("\n")]


def _fields(cls: type) -> list[Line]:
    from surgery.fields import fields_of

    rows: list[list[Cell]] = []
    for field in fields_of(cls):
        given = "required" if field.required else f"default {_word(field.default)}"
        alone = "may stand alone" if field.main else ""
        rows.append([piece(field.name, "head"), given, "; ".join(part for part in (field.help, alone) if part)])
    return [(), line(piece("fields", "quiet")), *table(rows, indent=2)] if rows else []


def _word(value: Any) -> str:
    """A default as YAML writes it."""
    if value is None or value == ():
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _example(text: str) -> list[Line]:
    return [(), line(piece("example", "quiet")), *(line(piece(f"    {one}", "head")) for one in text.split("\n"))]
