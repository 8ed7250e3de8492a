"""String literals: text in quotes, with escapes."""

from __future__ import annotations

__all__ = ["quote", "unquote"]


def quote(text: str) -> str:
    r"""A string literal that the language reads back as `text`.

    >>> print(quote('a"b'))
    'a"b'
    """
    mark = "'" if '"' in text and "'" not in text else '"'
    escaped = text.replace("\\", "\\\\").replace(mark, "\\" + mark).replace("\n", "\\n").replace("\t", "\\t")
    return f"{mark}{escaped}{mark}"


def unquote(literal: str) -> str:
    """The text of a string literal, quotes and escapes removed."""
    inside = literal[1:-1]
    if "\\" not in inside:
        return inside
    out, index = [], 0
    while index < len(inside):
        char = inside[index]
        if char == "\\":
            index += 1
            char = {"n": "\n", "t": "\t"}.get(inside[index], inside[index])
        out.append(char)
        index += 1
    return "".join(out)
