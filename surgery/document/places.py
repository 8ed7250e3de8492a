"""Where each character of a scalar stands in the file, for every style in which YAML can write it.

The parser gives a scalar's value and where it begins; the characters between are escaped, folded, indented. Here they
are found again, line by line, by the rules of YAML 1.2 (https://yaml.org/spec/1.2.2/, chapters 7 and 8).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import TypeAlias

from surgery.text import SourceFileText, Text

__all__ = ["Place", "block_text", "plain_text", "quoted_text"]

#: line and column, both from 0
Place: TypeAlias = tuple[int, int]

_BLANKS = " \t"
# one character of a value, as written
_SINGLE = re.compile(r"''|.")
_DOUBLE = re.compile(r"\\(?:x..|u.{4}|U.{8}|.|\Z)|.")


def plain_text(value: str, file: SourceFileText, line: int, column: int) -> Text:
    """A scalar without quotes that begins at `line` and `column`."""
    if "\n" not in value and file.lines[line].startswith(value, column):
        return Text(value, file, lambda index: (line, column + index))

    def pieces() -> Iterator[tuple[Place, str]]:
        yield (line, column), file.lines[line][column:].rstrip(_BLANKS)
        for number in range(line + 1, len(file.lines)):
            content = file.lines[number]
            yield (number, _indent(content, _BLANKS)), content.strip(_BLANKS)

    return _lazy(value, file, lambda: _along(value, pieces(), (line, column)))


def block_text(value: str, file: SourceFileText, line: int, column: int) -> Text:
    """A literal (``|``) or folded (``>``) block whose indicator stands at `line` and `column`."""

    def pieces() -> Iterator[tuple[Place, str]]:
        indent = _block_indent(value, file, line + 1)
        for number in range(line + 1, len(file.lines)):
            yield (number, indent), file.lines[number][indent:]

    return _lazy(value, file, lambda: _along(value, pieces(), (line, column)))


def _block_indent(value: str, file: SourceFileText, first: int) -> int:
    """The columns that a block is indented by, whether detected or indicated.

    The first line of the block with a character that is not a blank is also the first such line of the value.
    """
    content = next((text for text in value.split("\n") if text.strip(" ")), None)
    there = next((text for text in islice(file.lines, first, None) if text.strip(" ")), "")
    return 0 if content is None else max(0, _indent(there, " ") - _indent(content, " "))


def _indent(line: str, blanks: str) -> int:
    return len(line) - len(line.lstrip(blanks))


def _along(value: str, pieces: Iterator[tuple[Place, str]], begin: Place) -> Callable[[int], Place]:
    """The places of a value that consists of `pieces` and, between them, line ends or the blanks they became.

    What lies between two pieces is said to stand at the end of the first; a value of line ends alone stands at `begin`.
    """
    starts: list[int] = []
    stretches: list[tuple[int, int, int, int]] = []
    at = 0
    for (line, column), content in pieces:
        if not content:
            continue
        before = at
        while value.startswith("\n", at):
            at += 1
        if starts and at == before and value.startswith(" ", at) and not content.startswith(" "):
            at += 1
        if at >= len(value):
            break
        starts.append(at)
        stretches.append((at, line, column, len(content)))
        at += len(content)

    if not starts:
        return lambda index: begin

    def locate(index: int) -> Place:
        start, line, column, length = stretches[max(0, bisect_right(starts, index) - 1)]
        return line, column + max(0, min(index - start, length))

    return locate


def quoted_text(value: str, file: SourceFileText, line: int, column: int) -> Text:
    """A scalar in single or double quotes, the first of which stands at `line` and `column`."""
    content = file.lines[line]
    quote, end = content[column], column + 1 + len(value)
    if content[column + 1 : end] == value and content.startswith(quote, end) and not {quote, "\\"} & set(value):
        return Text(value, file, lambda index: (line, column + 1 + index))

    def find() -> Callable[[int], Place]:
        places = _quoted_places(file, line, column)
        assert len(places) == len(value) + 1, "the scanner and the parser read the same characters"
        return places.__getitem__

    return _lazy(value, file, find)


def _quoted_places(file: SourceFileText, first: int, column: int) -> list[Place]:
    quote = file.lines[first][column]
    places: list[Place] = []
    last, escaped, start = first, False, column + 1
    for line in range(first, len(file.lines)):
        content = file.lines[line]
        if line > first:
            start = _indent(content, _BLANKS)
        columns, closed, escapes = _quoted_line(content, start, quote)
        if line > first and start < len(content):
            breaks = line - last - 1 or (0 if escaped else 1)
            places.extend([(last, len(file.lines[last]))] * breaks)
        if line == first or start < len(content):
            last, escaped = line, escapes
        places.extend((line, at) for at in columns)
        if closed is not None:
            return [*places, (line, closed)]
    raise AssertionError("the parser saw a closing quote")


def _quoted_line(content: str, start: int, quote: str) -> tuple[list[int], int | None, bool]:
    """Of one line: the columns of its characters, that of the closing quote, and whether the line end is escaped."""
    columns: list[int] = []
    kept = 0
    for match in (_SINGLE if quote == "'" else _DOUBLE).finditer(content, start):
        token, at = match.group(), match.start()
        if token == quote:
            return columns, at, False
        if token == "\\" and quote == '"':
            return columns, None, True
        columns.append(at)
        if token not in _BLANKS:
            kept = len(columns)
    return columns[:kept], None, False


def _lazy(value: str, file: SourceFileText, find: Callable[[], Callable[[int], Place]]) -> Text:
    """A text whose places are looked for when the first of them is asked for."""
    found = cache(find)
    return Text(value, file, lambda index: found()(min(index, len(value))))
