"""Matching inside one segment: ``conv{n:int}_*`` against ``conv12_bn``.

Most segments are a literal or a whole capture and need no search. The others become a small regular expression, made
here from parts and never from user text; where the text is so long that backtracking could be felt, a table of
(part, position) pairs takes its place, whose cost is their product.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from surgery.diagnostics import fail
from surgery.lang.path import Capture, Group, Literal, Part, Star

__all__ = ["SegmentPattern"]

_SHORT = 128
_LONGEST = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class SegmentPattern:
    """The parts of one segment, ready to match.

    `literal` is the text itself where all parts are literal; `whole` is True where one capture or star takes the
    whole segment, whatever it is.
    """

    parts: tuple[Part, ...]
    literal: str | None = None
    whole: bool = False
    _regex: re.Pattern[str] | None = field(default=None, repr=False)
    _open: int = 0

    @classmethod
    def of(cls, parts: tuple[Part, ...]) -> SegmentPattern:
        """The pattern of `parts`, whose groups are all inside this segment."""
        if all(isinstance(part, Literal) for part in parts):
            return cls(parts, "".join(part.text for part in parts))  # type: ignore[union-attr]
        if len(parts) == 1 and (isinstance(parts[0], Star) or _is_text(parts[0])):
            return cls(parts, whole=True)
        unbounded = sum(isinstance(part, Star) or _is_text(part) or _is_int(part) for part in parts)
        return cls(parts, _regex=re.compile(_source(parts), re.DOTALL), _open=unbounded)

    def match(self, text: str) -> tuple[str, ...] | None:
        """What each part that is not literal text matched, as little as it could; None where the segment differs."""
        if self.literal is not None:
            return () if text == self.literal else None
        if self.whole:
            return (text,) if text else None
        assert self._regex is not None
        if self._open > 1 and len(text) > _SHORT:
            return self._match_long(text)
        found = self._regex.fullmatch(text)
        if found is None:
            return None
        return tuple(found.group(index) for index in range(1, self._regex.groups + 1))

    def _match_long(self, text: str) -> tuple[str, ...] | None:
        if self._regex is not None and "(?P=" in self._regex.pattern:
            if len(text) > _LONGEST:
                raise fail("too-large", f"a segment of {len(text)} characters is matched against a repeated capture")
            found = self._regex.fullmatch(text)
            return found and tuple(found.groups())  # type: ignore[return-value]
        reach = _reachable(self.parts, text)
        if not reach[0][0]:
            return None
        values, position = [], 0
        for index, part in enumerate(self.parts):
            end = next(e for e in _ends(part, text, position, len(self.parts) == 1) if reach[index + 1][e])
            if not isinstance(part, Literal):
                values.append(text[position:end])
            position = end
        return tuple(values)


def _is_text(part: Any) -> bool:
    return isinstance(part, Capture) and part.kind == "text"


def _is_int(part: Any) -> bool:
    return isinstance(part, Capture) and part.kind == "int"


def _source(parts: tuple[Part, ...]) -> str:
    """A regular expression with one group for every part that is not literal."""
    source, seen = [], set()
    for part in parts:
        match part:
            case Literal(text=text):
                source.append(re.escape(text))
            case Star():
                source.append("(.+?)" if len(parts) == 1 else "(.*?)")
            case Capture(name=name) if name in seen:
                source.append(f"((?P={name}))")
            case Capture(name=name, kind=kind, alternatives=alternatives):
                seen.add(name)
                inside = {"text": ".+?", "int": "[0-9]+?"}.get(kind) or "|".join(re.escape(a[0]) for a in alternatives)
                source.append(f"(?P<{name}>{inside})")
            case Group(alternatives=alternatives):
                source.append(f"({'|'.join(re.escape(a[0]) for a in alternatives)})")
            case _:
                raise AssertionError(part)
    return "".join(source)


def _ends(part: Part, text: str, start: int, alone: bool) -> list[int]:
    """Where a part that begins at `start` may end, nearest first."""
    match part:
        case Literal(text=literal):
            return [start + len(literal)] if text.startswith(literal, start) else []
        case Star():
            return list(range(start + alone, len(text) + 1))
        case Capture(kind="text"):
            return list(range(start + 1, len(text) + 1))
        case Capture(kind="int"):
            end = start
            while end < len(text) and text[end] in "0123456789":
                end += 1
            return list(range(start + 1, end + 1))
        case Capture(alternatives=alternatives) | Group(alternatives=alternatives):
            return [start + len(a[0]) for a in alternatives if text.startswith(a[0], start)]
    raise AssertionError(part)


def _reachable(parts: tuple[Part, ...], text: str) -> list[list[bool]]:
    """``table[p][i]``: whether parts from `p` on can match ``text[i:]``; made from the last part backwards."""
    table = [[False] * (len(text) + 1) for _ in range(len(parts) + 1)]
    table[-1][len(text)] = True
    for index in range(len(parts) - 1, -1, -1):
        part, here, after = parts[index], table[index], table[index + 1]
        if isinstance(part, Star) or _is_text(part):
            later = False  # whether any end beyond this position works
            for position in range(len(text), -1, -1):
                here[position] = later or (isinstance(part, Star) and len(parts) > 1 and after[position])
                later = later or after[position]
        else:
            for position in range(len(text) + 1):
                here[position] = any(after[end] for end in _ends(part, text, position, False))
    return table
