"""Templates at work: from what a selector matched to the key on the right side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from surgery.lang.expression import EvaluationError, Name, evaluate, names
from surgery.lang.match import Match, capture_values
from surgery.lang.path import Deep, Group, Literal, Path, Star
from surgery.lang.template import Hole, Mapped, Template

__all__ = ["Filling", "render", "split_key"]


@dataclass(slots=True)
class Filling:
    """What a template is filled with.

    Attributes:
        text: capture name -> text as it stood.
        numbers: capture name -> value for arithmetic.
        choices: capture name -> position of its alternative.
        stars: what the n-th star of the left took.
        groups: which alternative the n-th group takes.
    """

    text: Mapping[str, str]
    numbers: Mapping[str, Any]
    choices: Mapping[str, int] = field(default_factory=dict)
    stars: Sequence[str] = ()
    groups: Sequence[int] = ()

    @classmethod
    def of(cls, match: Match, path: Path) -> Filling:
        """What a match of `path` gives."""
        return cls(match.captures, capture_values(match, path), match.choices, match.stars, match.groups)


def split_key(key: str) -> tuple[str, ...]:
    """The segments of a key.

    >>> split_key("layer4.2.weight")
    ('layer4', '2', 'weight')
    """
    return tuple(key.split("."))


def render(template: Template, filling: Filling, rest: Sequence[str] = ()) -> str:
    """The key that a template gives; `rest` is carried over below it.

    Raises:
        EvaluationError: arithmetic gives a negative or fractional index, or has no value.
    """
    segments, stars, groups = [], iter(filling.stars), iter(filling.groups)
    for segment in template.segments:
        text = ""
        for part in segment.parts:
            match part:
                case Literal(text=literal):
                    text += literal
                case Star() | Deep():
                    text += next(stars)
                case Group(alternatives=alternatives):
                    text += ".".join(alternatives[next(groups)])
                case Mapped(name=name, alternatives=alternatives):
                    text += ".".join(alternatives[filling.choices[name]])
                case Hole():
                    text += _hole(part, filling)
                case _:
                    raise AssertionError(part)
        if text:
            segments.append(text)
    return ".".join((*segments, *rest))


def _hole(hole: Hole, filling: Filling) -> str:
    expression = hole.expression
    if isinstance(expression, Name):
        return filling.text[expression.name]
    value = evaluate(expression, filling.numbers)
    if isinstance(value, bool) or not isinstance(value, int):
        raise EvaluationError(f"`{{{expression}}}` is not a whole number but {value!r}", expression)
    if value < 0:
        used = ", ".join(f"{n.name} = {filling.text[n.name]}" for n in names(expression))
        raise EvaluationError(f"`{{{expression}}}` is negative ({value}) where {used}", expression)
    return str(value)
