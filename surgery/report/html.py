"""Screens in a notebook: the same lines as HTML, in colours that can be read on light and on dark ground."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from surgery.report.lines import Line

if TYPE_CHECKING:
    from surgery.plan import Plan
    from surgery.recipe import Recipe
    from surgery.result import Result

__all__ = ["lines_html", "plan_html", "recipe_html", "result_html"]

#: what a style means -> inline CSS; text takes the colour of its surroundings where nothing is said
_CSS = {
    "title": "font-weight:600",
    "head": "font-weight:600;color:#2b7fa8",
    "quiet": "opacity:.65",
    "new": "color:#2e8b4a",
    "changed": "color:#b07d1e",
    "gone": "color:#d0453f",
    "warning": "font-weight:600;color:#b07d1e",
    "error": "font-weight:600;color:#d0453f",
    "good": "font-weight:600;color:#2e8b4a",
}
_FRAME = "margin:0;background:transparent;color:inherit;line-height:1.45;overflow-x:auto;white-space:pre"
_COLUMNS = 120


def lines_html(lines: Iterable[Line]) -> str:
    """Lines as one preformatted element; all text is escaped.

    >>> from surgery.report.lines import line, piece
    >>> lines_html([line(piece("<b>", "quiet"))]).split(">", 1)[1]
    '<span style="opacity:.65">&lt;b&gt;</span></pre>'
    """
    rows = ("".join(_span(part.text, part.style) for part in one) for one in lines)
    return f'<pre style="{_FRAME}">{"&#10;".join(rows)}</pre>'


def _span(text: str, style: str) -> str:
    css = _CSS.get(style)
    return f'<span style="{css}">{escape(text)}</span>' if css else escape(text)


def plan_html(plan: Plan) -> str:
    """The plan screen."""
    from surgery.report.plan import plan_lines

    return lines_html(plan_lines(plan, columns=_COLUMNS))


def result_html(result: Result) -> str:
    """The result, and the plan it came from, folded."""
    from surgery.report.result import result_lines

    head = lines_html(result_lines(result, columns=_COLUMNS))
    return f"{head}<details><summary>plan</summary>{plan_html(result.plan)}</details>"


def recipe_html(recipe: Recipe) -> str:
    """The screen of the recipe, and its text, folded."""
    from surgery.report.recipe import recipe_lines

    head = lines_html(recipe_lines(recipe, columns=_COLUMNS))
    text = f'<pre style="{_FRAME}">{escape(recipe.text)}</pre>'
    return f"{head}<details><summary>YAML</summary>{text}</details>"
