"""Keys whose numbers vary, and rules between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from surgery.foreign.letters import Cell, Dot, Letters, text_letters
from surgery.lang.expression import Arithmetic, Const, Name
from surgery.lang.path import Capture, Literal, Path, Segment
from surgery.lang.template import Hole, TargetSegment, Template

__all__ = ["NUMBERS", "Entry", "Number", "Rule", "Tokens", "letters_of", "segments_of", "tokens_of"]

#: a number as a capture takes it
NUMBERS = re.compile(r"(0|[1-9]\d{0,17})(?!\d)")


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a key that varies: the one captured as `name`, and `offset` more."""

    name: str
    offset: int = 0


#: literal text, dots included, and numbers that vary
Tokens: TypeAlias = tuple[str | Number, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the mapping."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, and the entries it was made of."""

    old: Tokens
    new: Tokens
    entries: tuple[Entry, ...]

    @property
    def left(self) -> str:
        """The selector."""
        return str(Path(tuple(Segment(tuple(_part(token) for token in segment)) for segment in segments_of(self.old))))

    @property
    def text(self) -> str:
        """The rule as a recipe has it."""
        right = tuple(TargetSegment(tuple(_target(token) for token in segment)) for segment in segments_of(self.new))
        return f"{self.left} -> {Template(right)}"

    @classmethod
    def literal(cls, entry: Entry) -> Rule:
        """A rule for one entry alone."""
        return cls((entry.old,), (entry.new,), (entry,))

    def exploded(self) -> list[Rule]:
        """A rule for each entry."""
        return [Rule.literal(entry) for entry in self.entries]


def tokens_of(key: str, numbers: Sequence[str | Number]) -> Tokens:
    """A key with its numbers in place; what stands still is text again."""
    texts = NUMBERS.split(key)[::2]
    found: list[str | Number] = [texts[0]]
    for number, text in zip(numbers, texts[1:], strict=True):
        if isinstance(number, Number):
            found += [number, text]
        else:
            found[-1] = f"{found[-1]}{number}{text}"
    return tuple(found)


def segments_of(tokens: Tokens) -> list[list[str | Number]]:
    """The tokens of each segment."""
    found: list[list[str | Number]] = [[]]
    for token in tokens:
        if isinstance(token, Number):
            found[-1].append(token)
            continue
        for number, text in enumerate(token.split(".")):
            if number:
                found.append([])
            if text:
                found[-1].append(text)
    return found


def letters_of(tokens: Tokens) -> Letters:
    """The same key in letters."""
    found: list[Cell | Dot] = []
    for token in tokens:
        found += [Cell("int", f"number {token.name}")] if isinstance(token, Number) else text_letters(token)
    return tuple(found)


def _part(token: str | Number) -> Literal | Capture:
    return Literal(token) if isinstance(token, str) else Capture(token.name, "int")


def _target(token: str | Number) -> Literal | Hole:
    if isinstance(token, str):
        return Literal(token)
    if not token.offset:
        return Hole(Name(token.name))
    return Hole(Arithmetic("+" if token.offset > 0 else "-", Name(token.name), Const(abs(token.offset))))
