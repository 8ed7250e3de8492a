"""What a record leaves out: directories of a machine, and what an address needs and nobody else may have.

The rest of a recipe's text stays as it was written, to the last blank.
"""

from __future__ import annotations

import re
from typing import Any

from surgery.diagnostics import Span
from surgery.document import MapNode, Node, texts

__all__ = ["shortened", "shortened_text"]

_ABSOLUTE = re.compile(r"/|~[^/]|\\\\|[A-Za-z]:[\\/]")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REPOSITORY_HERE = re.compile(r"git\+file:///.*//")
_LINE_END = re.compile(r"\r\n|\r|\n")
_QUERY = re.compile(r"[?#]")
_USER = re.compile(r"[^/?#]*@")


def shortened(value: Any) -> Any:
    """A value without what a record leaves out; what is no text stays as it is, and lists item by item.

    >>> shortened("/home/ada/models/a.pth"), shortened("https://ada:pw@example.org/a.pth?token=x"), shortened("m/a.pth")
    ('a.pth', 'https://example.org/a.pth', 'm/a.pth')
    >>> shortened("git+file:///home/ada/recipes//a.yaml@v1")
    'git+file://recipes//a.yaml@v1'
    """
    if isinstance(value, list | tuple):
        return [shortened(item) for item in value]
    if not isinstance(value, str):
        return value
    for start, end in reversed(_left_out(value)):
        value = value[:start] + value[end:]
    return value


def shortened_text(text: str, document: Node) -> str:
    """The text of a recipe without what a record leaves out of its values, and without its tests, if these stand last.

    Args:
        text: what `document` was read from.
        document: the same as nodes.
    """
    starts = [len(text) - len(text.removeprefix("\ufeff")), *(match.end() for match in _LINE_END.finditer(text))]
    cuts = set()
    for scalar, _ in texts(document):
        for begin, end in _left_out(scalar.text.value):
            (first, left), (last, right) = scalar.text.locate(begin), scalar.text.locate(end)
            cuts.add((starts[first] + left, starts[last] + right))
    tests = _tests(document)
    if tests is not None:
        end = starts[tests.line - 1]
        text, cuts = text[:end], {(start, stop) for start, stop in cuts if stop <= end}
    for start, stop in sorted(cuts, reverse=True):
        text = text[:start] + text[stop:]
    return text


def _tests(document: Node) -> Span | None:
    """Where the tests begin, if they are the last word of a mapping without braces: nothing refers into them."""
    if not isinstance(document, MapNode) or len(document.pairs) < 2:
        return None
    in_braces = document.span.excerpt[document.span.column - 1 :].startswith("{")
    key, _ = document.pairs[-1]
    return key.span if key.value == "tests" and not in_braces else None


def _left_out(value: str) -> list[tuple[int, int]]:
    """The stretches of a value that are left out, from left to right."""
    if "\n" in value:
        return []
    address = _ADDRESS.match(value)
    if address is not None:
        return _of_address(value, address.end())
    if _ABSOLUTE.match(value) is None:
        return []
    # in `params`, `file.json#/pointer` is a place inside a file
    path = value.partition("#")[0].rstrip("/\\")
    kept = max(path.rfind("/"), path.rfind("\\")) + 1
    return [(0, kept)] if kept else []


def _of_address(value: str, start: int) -> list[tuple[int, int]]:
    if _REPOSITORY_HERE.match(value):
        return [(start, value.rfind("/", start, value.find("//", start)) + 1)]
    found = []
    user = _USER.match(value, start)
    if user is not None:
        found.append((start, user.end()))
        start = user.end()
    query = _QUERY.search(value, start)
    return [*found, (query.start(), len(value))] if query is not None else found
