"""Lines of styled text: every screen is a list of them, and prints the same with colours and without."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from surgery.diagnostics import escape

__all__ = ["STYLES", "Line", "Piece", "cells", "line", "piece", "plain", "width"]

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


class Piece(NamedTuple):
    """Some text in one style (a key of `STYLES`); safe to print, and without line ends."""

    text: str
    style: str = ""


#: Pieces side by side.
Line: TypeAlias = tuple[Piece, ...]


def piece(text: object, style: str = "") -> Piece:
    """A piece of any text; what must not reach a terminal is escaped."""
    return Piece(escape(str(text)), style)


def line(*parts: str | Piece) -> Line:
    """A line of pieces and plain text."""
    return tuple(part if isinstance(part, Piece) else piece(part) for part in parts)


def plain(lines: Iterable[Line]) -> str:
    """Lines as text without colour, without blanks at line ends."""
    return "".join("".join(part.text for part in one).rstrip() + "\n" for one in lines)


def cells(text: str) -> int:
    """How many columns of a terminal a text takes; wide characters take two, combining ones none.

    >>> cells("weight"), cells("重み"), cells("e\\u0301")
    (6, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def width(one: Line) -> int:
    """How many columns a line takes."""
    return sum(cells(part.text) for part in one)
