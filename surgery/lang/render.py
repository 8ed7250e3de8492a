"""Templates at work: from what a selector matched to the key on the right side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from surgery.lang.expression import EvaluationError, Name, evaluate, names
from surgery.lang.path import Deep, Group, Literal, Path, Star
from surgery.lang.match import Match
from surgery.lang.select import capture_values
from surgery.lang.template import Hole, Mapped, Template

__all__ = ["Filling", "join_key", "renamer", "render", "split_key"]


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


def join_key(segments: Sequence[str]) -> str:
    """The key of some segments."""
    return ".".join(segments)


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


#: key segments -> the new key, or None where the general way has to be taken
Renamer: TypeAlias = Callable[[Sequence[str]], str]


def renamer(path: Path, template: Template) -> Renamer | None:
    """A short cut for the common rule: whole segments only, each put back whole. None where the rule needs more.

    Stars and captures that are whole segments have fixed places in the key, so the new key is a list of places.
    """
    segments = list(path.segments)
    targets = list(template.segments)
    if segments and targets and _is_star(segments[-1], Deep) and _is_star(targets[-1], Deep):
        segments.pop()
        targets.pop()
    places: dict[str, int] = {}
    stars: list[int] = []
    for index, segment in enumerate(segments):
        part = segment.parts[0]
        if segment.types or segment.deep or (len(segment.parts) > 1):
            return None
        if isinstance(part, Star):
            stars.append(index)
        elif not isinstance(part, Literal):
            if getattr(part, "kind", "") not in ("text", "int") or part.name in places:  # type: ignore[union-attr]
                return None
            places[part.name] = index  # type: ignore[union-attr]
    plan = _plan(targets, places, stars)
    if plan is None:
        return None
    length = len(segments)

    def rename(key: Sequence[str]) -> str:
        return ".".join([key[p] if type(p) is int else p for p in plan] + list(key[length:]))  # type: ignore[misc]

    return rename


def _is_star(segment: Any, kind: type) -> bool:
    return len(segment.parts) == 1 and isinstance(segment.parts[0], kind) and not getattr(segment, "types", ())


def _plan(targets: list[Any], places: dict[str, int], stars: list[int]) -> list[int | str] | None:
    """For each target segment its text, or the place in the key where it comes from."""
    plan: list[int | str] = []
    waiting = iter(stars)
    for segment in targets:
        part = segment.parts[0]
        if len(segment.parts) > 1:
            return None
        if isinstance(part, Literal):
            plan.append(part.text)
        elif isinstance(part, Star):
            plan.append(next(waiting))
        elif isinstance(part, Hole) and isinstance(part.expression, Name):
            plan.append(places[part.expression.name])
        else:
            return None
    return plan
