"""Paths: the part of a selector that matches keys, segment by segment.

A path is a tuple of segments, a segment a tuple of parts. Both are immutable and print back to text that parses to
the same path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from surgery.lang.expression import quote

__all__ = [
    "Alternative",
    "Capture",
    "Deep",
    "Group",
    "Literal",
    "ParameterText",
    "Part",
    "Path",
    "Segment",
    "Star",
    "print_alternatives",
    "print_literal",
]

_BARE = re.compile(r"(?:[\w/:@+]|-(?!>))+")
_KEYWORDS = {"if", "except", "via", "with", "optional", "or"}

#: Literal text of a group: its segments, since it may contain dots.
Alternative: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that matches itself."""

    text: str
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return print_literal(self.text)


@dataclass(frozen=True, slots=True)
class Star:
    """``*``: any run of characters inside one segment; not empty where it is the whole segment."""

    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True, slots=True)
class Deep:
    """``**``: any number of whole segments, none included."""

    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return "**"


@dataclass(frozen=True, slots=True)
class Capture:
    """``{name}``, ``{name:int}``, ``{name:**}``, ``{name:q|k|v}``; `kind` is text, int, deep or one_of."""

    name: str
    kind: str = "text"
    alternatives: tuple[Alternative, ...] = ()
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        kinds = {"text": "", "int": ":int", "deep": ":**"}
        if self.kind in kinds:
            return f"{{{self.name}{kinds[self.kind]}}}"
        if len(self.alternatives) == 1:  # bare, it would be taken for a kind
            return f"{{{self.name}:{quote('.'.join(self.alternatives[0]))}}}"
        return f"{{{self.name}:{print_alternatives(self.alternatives)}}}"


@dataclass(frozen=True, slots=True)
class Group:
    """``(q|k|v)``: one of the alternatives, unnamed."""

    alternatives: tuple[Alternative, ...]
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"({print_alternatives(self.alternatives)})"


@dataclass(frozen=True, slots=True)
class ParameterText:
    """``$name`` in a key: the value of a parameter, as literal text whose dots separate segments."""

    name: str
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"${{{self.name}}}"


Part: TypeAlias = Literal | Star | Deep | Capture | Group | ParameterText


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two dots, and the classes that the module there must have."""

    parts: tuple[Part, ...]
    types: tuple[str, ...] = ()
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    @property
    def deep(self) -> bool:
        """Whether this stands for any number of segments."""
        part = self.parts[0]
        return isinstance(part, Deep) or (isinstance(part, Capture) and part.kind == "deep")

    def __str__(self) -> str:
        text = "".join(map(str, self.parts))
        return f"{text}[{'|'.join(self.types)}]" if self.types else text


@dataclass(frozen=True, slots=True)
class Path:
    """Segments joined by dots."""

    segments: tuple[Segment, ...]
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def parts(self) -> Iterator[Part]:
        """All parts, from left to right."""
        return (part for segment in self.segments for part in segment.parts)

    def captures(self) -> Iterator[Capture]:
        """The named captures, from left to right."""
        return (part for part in self.parts() if isinstance(part, Capture))

    @property
    def literal(self) -> str | None:
        """The key that this path spells out, where it holds nothing but literal text."""
        if any(s.types or any(not isinstance(p, Literal) for p in s.parts) for s in self.segments):
            return None
        return ".".join("".join(p.text for p in s.parts) for s in self.segments)  # type: ignore[union-attr]

    def __str__(self) -> str:
        text = ".".join(map(str, self.segments))
        return f'"{text}"' if text in _KEYWORDS else text


def print_literal(text: str) -> str:
    """Literal key text, quoted where the language would read it as something else."""
    return text if _BARE.fullmatch(text) else quote(text)


def print_alternatives(alternatives: tuple[Alternative, ...]) -> str:
    """The inside of a group: ``1.0|2.0``."""
    return "|".join(".".join(map(print_literal, alternative)) for alternative in alternatives)
