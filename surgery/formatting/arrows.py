"""Rules in a block: the arrows of neighbouring rules stand below each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["aligned"]

#: a left side longer than this is not lined up with its neighbours
_WIDEST = 40
_TOKEN = re.compile(
    r"""(?P<comment>(?<!\S)\#.*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<arrow>(?<!\S)(?:->|→)(?!\S))
      | (?P<open>[(\[{])
      | (?P<close>[)\]}])
      | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class _Line(NamedTuple):
    """A rule that stands on one line: `left` (its indentation included), its arrow, `right`, and its comment."""

    left: str
    arrow: str
    right: str
    comment: str
    comment_column: int


def aligned(lines: Sequence[str]) -> list[str]:
    """The lines of a block of rules; only blanks beside arrows and before comments change.

    >>> print(*aligned(["a -> b   # first", "longer   -> c"]), sep="\\n")
    a      -> b  # first
    longer -> c
    """
    result: list[str] = []
    group: list[_Line] = []
    for line in lines:
        parts = _split(line.rstrip())
        if parts is None or len(parts.left.strip()) > _WIDEST:
            result += _written(group)
            group = []
            result.append(line.rstrip())
        else:
            group.append(parts)
    return result + _written(group)


def _split(line: str) -> _Line | None:
    """The parts of a line that holds one whole rule; None for any other line."""
    depth, arrows, comment = 0, [], len(line)
    for match in _TOKEN.finditer(line):
        if match.lastgroup == "comment":
            comment = match.start()
        elif match.lastgroup in ("open", "close"):
            depth += 1 if match.lastgroup == "open" else -1
        elif match.lastgroup == "arrow" and depth == 0:
            arrows.append(match)
    if len(arrows) != 1:
        return None
    (arrow,) = arrows
    left, right = line[: arrow.start()].rstrip(), line[arrow.end() : comment].strip()
    if not left or not right:
        return None
    return _Line(left, arrow.group(), right, line[comment:], comment)


def _written(group: list[_Line]) -> list[str]:
    """The lines of neighbours, each comment in the column where it stood, if there is room."""
    width = max((len(line.left) for line in group), default=0)
    result = []
    for line in group:
        text = f"{line.left:{width}} {line.arrow} {line.right}"
        if line.comment:
            text += " " * max(2, line.comment_column - len(text)) + line.comment
        result.append(text)
    return result
