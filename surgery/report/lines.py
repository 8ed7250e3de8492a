"""Lines of styled text: every screen is a list of them, and prints the same with colours and without."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from surgery.diagnostics import columns, escape

__all__ = ["STYLES", "Line", "Piece", "line", "piece", "plain", "width"]

#: what a style means -> how rich draws it on a terminal
STYLES = {
    "": "",
    "title": "bold",
    "head": "bold cyan",
    "quiet": "dim",
    "new": "green",
    "changed": "yellow",
    "gone": "red",
    "warning": "bold yellow",
    "error": "bold red",
    "good": "bold green",
}


#: no key that a person wrote is as long
_LONG = 400
_LONG_WORD = re.compile(rf"\S{{{_LONG},}}")


class Piece(NamedTuple):
    """Some text in one style (a key of `STYLES`); safe to print, and without line ends."""

    text: str
    style: str = ""


#: Pieces side by side.
Line: TypeAlias = tuple[Piece, ...]


def piece(text: object, style: str = "") -> Piece:
    """A piece of any text; what must not reach a terminal is escaped, and words of absurd length are shortened."""
    assert style in STYLES, f"no style is called {style}"
    safe = escape(str(text))
    return Piece(safe if len(safe) < _LONG else _LONG_WORD.sub(_shortened, safe), style)


def _shortened(word: re.Match[str]) -> str:
    return f"{word[0][:200]}…{word[0][-60:]}"


def line(*parts: str | Piece) -> Line:
    """A line of pieces and plain text."""
    return tuple(part if isinstance(part, Piece) else piece(part) for part in parts)


def plain(lines: Iterable[Line]) -> str:
    """Lines as text without colour, without blanks at line ends."""
    return "".join("".join(part.text for part in one).rstrip() + "\n" for one in lines)


def width(one: Line) -> int:
    """How many columns a line takes."""
    return sum(columns(part.text) for part in one)
