"""The text of an imported recipe, and the warnings about what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from surgery.content import FORMAT
from surgery.diagnostics import Diagnostic, escape
from surgery.document.emit import emit, scalar
from surgery.formatting import SCHEMA_LINE, format_recipe
from surgery.importers.base import Imported, ImportedStep, Line
from surgery.wording import counted

__all__ = ["recipe_text", "warnings_of"]

_WIDTH = 110


def recipe_text(imported: Imported, what: str) -> str:
    """The recipe, with what its reader should know in comments; `what` is what was imported."""
    head = [f"Written by `surgery import {_one_line(what)}`.", *imported.notes]
    readings = imported.readings
    if readings:
        head.append("Where these rules say less or more than what they were made from:")
        head += [f"- {reading.value} ({counted(count, 'rule')})." for reading, count in readings.items()]
    words: dict[str, Any] = {
        "surgery": FORMAT,
        "name": imported.name,
        "description": imported.description,
        "params": {"checkpoint": {"type": "path", "help": "the checkpoint to convert"}},
        "source": {"checkpoint": "$checkpoint"},
    }
    parts = [f"{SCHEMA_LINE}\n", *(f"# {line}\n" for line in head), emit(words), *_steps(imported)]
    return format_recipe("".join(parts), imported.name)


def _steps(imported: Imported) -> Iterator[str]:
    if not any(line.why is None for step in imported.steps for line in step.lines):
        yield "steps: []\n"
    else:
        yield "steps:\n"
    for step in imported.steps:
        yield from _step(step)


def _step(step: ImportedStep) -> Iterator[str]:
    rules = [line for line in step.lines if line.why is None]
    if step.word == "filter" and rules:
        # a list of selectors, whose union is dropped
        yield "  - filter:\n      drop:\n"
        for line in step.lines:
            words = [f"- {scalar(line.text)}"] if line.why is None else [f"# {words}" for words in _excuse(line)]
            yield from (f"        {word}\n" for word in words)
        return
    if not rules:
        for line in step.lines:
            yield from (f"  # {words}\n" for words in _excuse(line))
    elif len(step.lines) == 1 and step.rest is None and len(rules[0].text) <= _WIDTH:
        yield f"  - {step.word}: {scalar(rules[0].text)}\n"
    else:
        indent = "      "
        yield f"  - {step.word}:"
        if step.rest is not None:
            yield f"\n      rest: {step.rest}\n      rules:"
            indent = "        "
        yield " |\n"
        for line in step.lines:
            words = _rule(line.text) if line.why is None else [f"# {words}" for words in _excuse(line)]
            yield from (f"{indent}{word}\n" for word in words)


def _rule(text: str) -> list[str]:
    """A rule on one line, or on several: a line that begins with an arrow or with `via` goes on."""
    left, arrow, right = text.partition(" -> ")
    if len(text) <= _WIDTH or not arrow:
        return [text]
    target, via, operations = right.partition(" via ")
    first = [f"{left} -> {target}"] if via and len(left) + len(target) <= _WIDTH else [left, f"  -> {target}"]
    return [*first, f"  via {operations}"] if via else first


def _excuse(line: Line) -> tuple[str, str]:
    return f"left out: {_one_line(line.text)}", f"  no rule says this: {_one_line(line.why or '')}"


def _one_line(text: str) -> str:
    return escape(" ".join(text.splitlines()))


def warnings_of(imported: Imported) -> Iterator[Diagnostic]:
    """A warning for each rule that was left out, and one for how the others were read."""
    for line in imported.left_out:
        yield Diagnostic("import-rule", f"left out: `{line.text}`", notes=(line.why or "",), severity="warning")
    if imported.readings:
        notes = tuple(f"{reading.value} ({counted(n, 'rule')})" for reading, n in imported.readings.items())
        message = "some rules say less or more than what they were made from"
        yield Diagnostic("import-rule", message, notes=notes, severity="warning")
