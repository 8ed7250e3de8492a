"""An index of recipes: for a terminal, as Markdown, and as a page of HTML."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from html import escape as escape_html

from surgery.catalogue import Entry
from surgery.diagnostics import escape
from surgery.document.emit import emit
from surgery.params import Param
from surgery.recipe import Recipe
from surgery.report.html import lines_html
from surgery.report.lines import Line, piece
from surgery.report.recipe import recipe_lines
from surgery.report.table import Cell, table
from surgery.wording import counted

__all__ = ["catalogue_html", "catalogue_lines", "catalogue_markdown"]

_MARKS = re.compile(r"([\\`*_{}\[\]<>|#~&])")
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}</style>
<h1>{title}</h1>
{body}
</html>
"""


def catalogue_lines(entries: Iterable[Entry]) -> list[Line]:
    """A line for each recipe."""
    rows: list[list[Cell]] = [[piece(entry.name, "head"), _about(entry)] for entry in entries]
    return table(rows, "ll")


def _about(entry: Entry) -> Cell:
    if entry.recipe is None:
        return piece(f"cannot be read: {_wrong(entry)}", "error")
    return entry.recipe.description


def _wrong(entry: Entry) -> str:
    assert entry.error is not None, "a recipe that is not there has an error"
    first, *more = entry.error.diagnostics
    return first.message + (f", and {counted(len(more), 'error')} more" if more else "")


def catalogue_markdown(entries: Iterable[Entry], title: str) -> str:
    """A page of Markdown: a table of the recipes, and a section for each with its parameters and how it is used."""
    entries = list(entries)
    found = [f"# {_text(title)}", "| recipe | |\n| --- | --- |\n" + "\n".join(map(_row, entries))]
    for entry in entries:
        if entry.recipe is not None:
            found += _section(entry.name, entry.recipe)
    return "\n\n".join(found) + "\n"


def _row(entry: Entry) -> str:
    if entry.recipe is None:
        return f"| {_code(entry.name)} | cannot be read: {_text(_wrong(entry))} |"
    return f"| [{_code(entry.name)}](#{_anchor(entry.name)}) | {_text(entry.recipe.description)} |"


def _section(name: str, recipe: Recipe) -> list[str]:
    found = [f'<a id="{_anchor(name)}"></a>\n## {_text(recipe.name)}', _text(recipe.description)]
    if recipe.params:
        rows = [
            f"| {_code(param.name)} | {_text(param.type_name)} | {_given(param)} | {_text(param.help)} |"
            for param in recipe.params.values()
        ]
        found.append("| parameter | type | default | |\n| --- | --- | --- | --- |\n" + "\n".join(rows))
    found.append(_usage(name, recipe))
    return [part for part in found if part]


def _usage(name: str, recipe: Recipe) -> str:
    """The command that runs a recipe; of one without a source, the step that brings it into another."""
    needed = [param.name for param in recipe.params.values() if param.required]
    if recipe.content.source is None and not recipe.content.sources:
        shown = escape(name)
        use = {"recipe": shown, "params": dict.fromkeys(needed, "…")} if needed else shown
        return f"```yaml\n{emit({'steps': [{'use': use}]})}```"
    command = ["$ surgery run", escape(shlex.quote(name)), *(f"-p {param}=…" for param in needed)]
    return f"```console\n{' '.join(command)}\n```"


def _given(param: Param) -> str:
    if param.required:
        return "must be given"
    return _code(str(param.origin.value if param.origin is not None else param.default))


def _text(text: str) -> str:
    """Text in Markdown: what would be a mark is none."""
    return _MARKS.sub(r"\\\1", escape(" ".join(text.split())))


def _code(text: str) -> str:
    clean = escape(text).replace("`", "'").replace("|", "\\|")
    return f"`{clean}`"


def _anchor(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def catalogue_html(entries: Iterable[Entry], title: str) -> str:
    """A page of HTML, with the screen of each recipe and its text."""
    entries = list(entries)
    items = "".join(_item(entry) for entry in entries)
    parts = [f"<ul>{items}</ul>"]
    for entry in entries:
        if entry.recipe is not None:
            screen = lines_html(recipe_lines(entry.recipe, columns=100))
            text = f"<details><summary>YAML</summary><pre>{_lines(entry.recipe.text)}</pre></details>"
            parts.append(f'<h2 id="{_anchor(entry.name)}">{_lines(entry.recipe.name)}</h2>{screen}{text}')
    return _PAGE.format(title=_lines(title), body="\n".join(parts))


def _lines(text: str) -> str:
    """Text in HTML, line by line."""
    return "\n".join(escape_html(escape(each)) for each in text.splitlines())


def _item(entry: Entry) -> str:
    name = f"<code>{_lines(entry.name)}</code>"
    if entry.recipe is None:
        return f"<li>{name} cannot be read: {_lines(_wrong(entry))}</li>"
    return f'<li><a href="#{_anchor(entry.name)}">{name}</a> {_lines(entry.recipe.description)}</li>'
