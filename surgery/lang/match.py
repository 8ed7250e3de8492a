"""What a pattern took from a key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from surgery.lang.path import Capture, Deep, Group, Path, Star

if TYPE_CHECKING:
    from surgery.lang.pattern import Pattern

__all__ = ["Match", "Taken", "Values", "capture_values"]

#: an open part of a path, and what it took: text, or the number of an alternative
Taken: TypeAlias = tuple[Star | Deep | Capture | Group, str | int]


@dataclass(frozen=True, slots=True)
class Values:
    """What captures, stars and groups took.

    Attributes:
        captures: name -> text; the text of a ``**`` capture is dotted, and empty where it took nothing.
        stars: what each ``*`` and ``**`` took, in order.
        groups: which alternative each unnamed group took, in order.
        choices: name -> which alternative a capture of alternatives took.
    """

    captures: dict[str, str]
    stars: tuple[str, ...]
    groups: tuple[int, ...]
    choices: dict[str, int]

    @classmethod
    def of(cls, taken: Iterable[Taken]) -> Values:
        """The values of the parts of a path, in order."""
        found = cls({}, (), (), {})
        stars: list[str] = []
        groups: list[int] = []
        for part, value in taken:
            if isinstance(part, Capture):
                if isinstance(value, int):
                    found.choices[part.name] = value
                    value = ".".join(part.alternatives[value])
                found.captures[part.name] = value
            elif isinstance(part, Group):
                groups.append(int(value))
            else:
                stars.append(str(value))
        return cls(found.captures, tuple(stars), tuple(groups), found.choices)


class Match:
    """A match: which key, and how much of it. What the parts took is worked out when it is first asked for.

    Attributes:
        pattern: what matched.
        key: the segments of the whole key.
        end: how many of them were matched.
    """

    __slots__ = ("_taken", "_values", "end", "key", "pattern")

    def __init__(self, pattern: Pattern, key: Sequence[str], end: int, taken: tuple[Taken, ...] | None = None) -> None:
        self.pattern = pattern
        self.key = key
        self.end = end
        self._taken = taken
        self._values: Values | None = None

    @property
    def values(self) -> Values:
        """What the parts took."""
        if self._values is None:
            self._values = Values.of(self.pattern.taken(self.key, self.end) if self._taken is None else self._taken)
        return self._values

    @property
    def rest(self) -> tuple[str, ...]:
        """The segments below what was matched."""
        return tuple(self.key[self.end :])

    @property
    def captures(self) -> dict[str, str]:
        """Name -> text."""
        return self.values.captures

    @property
    def stars(self) -> tuple[str, ...]:
        """What each star took, in order."""
        return self.values.stars

    @property
    def groups(self) -> tuple[int, ...]:
        """Which alternative each unnamed group took, in order."""
        return self.values.groups

    @property
    def choices(self) -> dict[str, int]:
        """Name -> which alternative."""
        return self.values.choices

    def __repr__(self) -> str:
        return f"Match({'.'.join(self.key[: self.end])!r}, rest={'.'.join(self.rest)!r}, {self.values})"


def capture_values(match: Match, path: Path) -> dict[str, Any]:
    """The captures of a match of `path` as values of a condition: ``{i:int}`` as an integer, the others as text."""
    values: dict[str, Any] = dict(match.captures)
    for capture in path.captures():
        if capture.kind == "int":
            values[capture.name] = int(match.captures[capture.name])
    return values
