"""Matching inside one segment: ``conv{n:int}_*`` against ``conv12_bn``.

Most segments are a literal or a whole capture and need no search. The others become a small regular expression, made
here from parts and never from user text. Where backtracking could be felt (many stars, a long text), a table of
(part, position) pairs takes its place, whose cost is their product.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from surgery.diagnostics import fail
from surgery.lang.path import Capture, Deep, Group, Literal, ParameterText, Part, Star

__all__ = ["LONGEST_INTEGER", "SegmentPattern"]

#: the digits that ``{name:int}`` takes at most, so that captured integers stay within 64 bits
LONGEST_INTEGER = 18
#: what the tries of a regular expression may come to before the table takes over
_FEW_TRIES = 10_000
#: the ways through one segment that are tried for a capture that stands twice
_MOST_WAYS = 20_000

_Table: TypeAlias = list[list[bool]]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentPattern:
    """The parts of one segment, ready to match.

    Attributes:
        literal: the text itself, where all parts are literal.
        whole: whether one capture or star takes the whole segment, whatever it is.
        open: how many parts are of no fixed length.
        several: whether some text may be matched in more than one way.
    """

    parts: tuple[Part, ...]
    literal: str | None = None
    whole: bool = False
    open: int = 0
    several: bool = False
    _repeats: bool = False
    _regex: re.Pattern[str] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, parts: tuple[Part, ...]) -> SegmentPattern:
        """The pattern of `parts`, whose groups are all inside this segment."""
        if all(isinstance(part, Literal) for part in parts):
            return cls(parts, "".join(part.text for part in parts))  # type: ignore[union-attr]
        if len(parts) == 1 and _takes_anything(parts[0]):
            return cls(parts, whole=True, open=1)
        unbounded = sum(_takes_anything(part) or _is_integer(part) for part in parts)
        names = [part.name for part in parts if isinstance(part, Capture)]
        regex = re.compile("".join(_source(part, len(parts) == 1) for part in parts), re.DOTALL)
        several = sum(not isinstance(part, Literal) for part in parts) > 1
        return cls(parts, open=unbounded, several=several, _repeats=len(set(names)) < len(names), _regex=regex)

    def match(self, text: str) -> tuple[str, ...] | None:
        """What each part that is not literal text took, as little as it could; None where the segment differs."""
        if self.literal is not None:
            return () if text == self.literal else None
        if self.whole:
            return (text,) if text else None
        if self._repeats or (self.open > 1 and len(text) ** self.open > _FEW_TRIES):
            return next(self.ways(text), None)
        assert self._regex is not None
        found = self._regex.fullmatch(text)
        return found and found.groups()

    def ways(self, text: str) -> Iterator[tuple[str, ...]]:
        """Every way to match, the parts to the left as short as they can be.

        Raises:
            SurgeryError: `too-large`, where a capture that stands twice would need too many tries.
        """
        if not self.several:
            only = self.match(text)
            yield from [] if only is None else [only]
            return
        reach = _reachable(self.parts, text)
        stack: list[tuple[int, int, tuple[str, ...], tuple[tuple[str, str], ...]]] = [(0, 0, (), ())]
        tries = 0
        while stack:
            index, position, values, bound = stack.pop()
            if index == len(self.parts):
                yield values
                continue
            tries += 1
            if tries > _MOST_WAYS and self._repeats:
                raise fail("too-large", f"a segment of {len(text)} characters is matched against a repeated capture")
            part, known = self.parts[index], dict(bound)
            following = []
            for end in _ends(part, text, position, alone=len(self.parts) == 1):
                if not reach[index + 1][end]:
                    continue
                taken = text[position:end]
                if isinstance(part, Capture) and known.get(part.name, taken) != taken:
                    continue
                names = (*bound, (part.name, taken)) if isinstance(part, Capture) else bound
                following.append((index + 1, end, values if isinstance(part, Literal) else (*values, taken), names))
            stack.extend(reversed(following))


def _takes_anything(part: Part) -> bool:
    return isinstance(part, Star) or (isinstance(part, Capture) and part.kind == "text")


def _is_integer(part: Part) -> bool:
    return isinstance(part, Capture) and part.kind == "int"


def _source(part: Part, alone: bool) -> str:
    """The regular expression of one part: a group, unless it is literal text."""
    match part:
        case Literal(text=text):
            return re.escape(text)
        case Star():
            return "(.+?)" if alone else "(.*?)"
        case Capture(kind="text"):
            return "(.+?)"
        case Capture(kind="int"):
            return f"([0-9]{{1,{LONGEST_INTEGER}}}?)"
        case Capture(alternatives=alternatives) | Group(alternatives=alternatives):
            return f"({'|'.join(re.escape(text) for (text,) in alternatives)})"
        case Deep() | ParameterText():
            raise AssertionError(part)


def _ends(part: Part, text: str, start: int, *, alone: bool) -> Iterator[int]:
    """Where a part that begins at `start` may end, nearest first."""
    match part:
        case Literal(text=literal):
            yield from [start + len(literal)] if text.startswith(literal, start) else []
        case Star():
            yield from range(start + alone, len(text) + 1)
        case Capture(kind="text"):
            yield from range(start + 1, len(text) + 1)
        case Capture(kind="int"):
            for end in range(start, min(len(text), start + LONGEST_INTEGER)):
                if text[end] not in "0123456789":
                    return
                yield end + 1
        case Capture(alternatives=alternatives) | Group(alternatives=alternatives):
            yield from (start + len(option) for (option,) in alternatives if text.startswith(option, start))
        case Deep() | ParameterText():
            raise AssertionError(part)


def _reachable(parts: tuple[Part, ...], text: str) -> _Table:
    """``table[p][i]``: whether parts from `p` on can match ``text[i:]``; made from the last part backwards."""
    table = [[False] * (len(text) + 1) for _ in range(len(parts) + 1)]
    table[-1][len(text)] = True
    for index in range(len(parts) - 1, -1, -1):
        part, here, after = parts[index], table[index], table[index + 1]
        if _takes_anything(part):
            may_be_empty = isinstance(part, Star) and len(parts) > 1
            later = False  # whether any end beyond this position works
            for position in range(len(text), -1, -1):
                here[position] = later or (may_be_empty and after[position])
                later = later or after[position]
        else:
            for position in range(len(text) + 1):
                here[position] = any(after[end] for end in _ends(part, text, position, alone=False))
    return table
