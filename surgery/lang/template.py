"""Templates: the key on the right side of a rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from surgery.lang.expression import Expression, names
from surgery.lang.path import (
    Alternative,
    Deep,
    Group,
    Literal,
    ParameterText,
    Star,
    print_alternatives,
)

__all__ = ["Hole", "Mapped", "TargetPart", "TargetSegment", "Template"]


@dataclass(frozen=True, slots=True)
class Hole:
    """``{i}``: what was captured, as it stood; ``{i + 1}``: integer arithmetic over captures."""

    expression: Expression
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{{{self.expression}}}"


@dataclass(frozen=True, slots=True)
class Mapped:
    """``{p:query|key|value}``: the alternative at the position of the one that ``{p:q|k|v}`` captured."""

    name: str
    alternatives: tuple[Alternative, ...]
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{{{self.name}:{print_alternatives(self.alternatives)}}}"


TargetPart: TypeAlias = Literal | Star | Deep | Hole | Mapped | Group | ParameterText


@dataclass(frozen=True, slots=True)
class TargetSegment:
    """What stands between two dots of a template."""

    parts: tuple[TargetPart, ...]
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Template:
    """Segments joined by dots."""

    segments: tuple[TargetSegment, ...]
    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    def parts(self) -> Iterator[TargetPart]:
        """All parts, from left to right."""
        return (part for segment in self.segments for part in segment.parts)

    def names(self) -> Iterator[str]:
        """The captures that it names, from left to right."""
        for part in self.parts():
            if isinstance(part, Hole):
                yield from (name.name for name in names(part.expression))
            elif isinstance(part, Mapped):
                yield part.name

    @property
    def literal(self) -> str | None:
        """The key that this template spells out, where it holds nothing but literal text."""
        if any(not isinstance(part, Literal) for part in self.parts()):
            return None
        return ".".join("".join(p.text for p in s.parts) for s in self.segments)  # type: ignore[union-attr]

    def __str__(self) -> str:
        text = ".".join(map(str, self.segments))
        return f'"{text}"' if text in {"if", "except", "via", "with", "optional", "or"} else text
