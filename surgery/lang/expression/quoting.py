"""String literals: text in quotes, with escapes."""

from __future__ import annotations

import re

from surgery.diagnostics import escape

__all__ = ["quote", "unquote"]

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r"}


def quote(text: str) -> str:
    r"""A string literal that the language reads back as `text`; what cannot be seen is written as an escape.

    >>> print(quote('a"b'), quote("\u202e"))
    'a"b' "\u202e"
    """
    mark = "'" if '"' in text and "'" not in text else '"'
    escaped = text.replace("\\", "\\\\").replace(mark, "\\" + mark)
    return f"{mark}{escape(escaped)}{mark}"


def unquote(literal: str) -> str:
    r"""The text of a string literal, quotes and escapes removed.

    ``\n``, ``\t``, ``\r``, ``\x41``, ``\u0041`` and ``\U00000041`` are what they are in Python; a backslash before any
    other character is that character.
    """
    inside = literal[1:-1]
    return _ESCAPE.sub(_unescaped, inside) if "\\" in inside else inside


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code:
        return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else match.group()
    return _LETTERS.get(match[4], match[4])
