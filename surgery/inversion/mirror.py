"""One key rule in the mirror: its right side becomes a selector, its left side a key.

What stands on both sides changes places; what is gathered over is scattered over, and the other way round. Whether the
mirrored rule takes just the keys that the rule made is not asked here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from surgery.inversion.arithmetic import Known
from surgery.inversion.conditions import known as known_by
from surgery.inversion.reflection import OneWay, Reflection
from surgery.lang.expression import Boolean, Expression, Name
from surgery.lang.path import Capture, Deep, Group, Part, Path, Segment, Star
from surgery.lang.rule import Join, KeyTarget, Rule
from surgery.lang.selector import Except, Guarded, Selector, Union
from surgery.lang.template import Hole, Mapped, TargetPart, Template

__all__ = ["Mirrored", "base_of", "mirrored"]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A rule in the mirror.

    Attributes:
        paths: what it selects; several are joined.
        templates: the keys that it gives.
        listed: whether these are a list.
        in_place: whether the rule gives each key to what had it.
        condition: what must hold for the captures (and the tensor).
        excepts: what the selector leaves out.
    """

    paths: tuple[Path, ...]
    templates: tuple[Template, ...]
    listed: bool
    in_place: bool = False
    condition: Expression | None = None
    excepts: tuple[Path, ...] = ()

    @property
    def left(self) -> Selector | Join:
        """The left side as a form."""
        if len(self.paths) > 1:
            return Join(self.paths, self.condition)
        form: Selector = self.paths[0]
        if self.excepts:
            form = Except(form, Union(self.excepts) if len(self.excepts) > 1 else self.excepts[0])
        return Guarded(form, self.condition) if self.condition else form

    def narrowed(self, *, condition: Expression | None = None, excepts: Sequence[Path] = ()) -> Mirrored:
        """The same with another condition, and other exceptions, beside its own."""
        both = Boolean("and", self.condition, condition) if self.condition and condition else None
        left_out = tuple(dict.fromkeys((*self.excepts, *excepts)))
        return dataclasses.replace(self, condition=both or condition or self.condition, excepts=left_out)


def mirrored(rule: Rule, known: Known | None = None) -> Mirrored:
    """A key rule in the mirror.

    `known` is what the keys at hand tell of captures.

    Raises:
        OneWay: a part of the left side does not stand on the right, so that nothing gives it back.

    >>> from surgery.lang import parse_rules
    >>> from surgery.text import Text
    >>> def show(text):
    ...     found = mirrored(parse_rules(Text.plain(text), "key")[0])
    ...     print(found.left, "->", *found.templates)
    >>> show("layer.{i:int}.(query|key).* -> blocks.{i + 1}.(q|k).*")
    blocks.{i:int}.(q|k).* -> layer.{i - 1}.(query|key).*
    >>> show("stages.{s:int} -> features.{2 * s}")
    features.{s:int} if s % 2 == 0 -> stages.{s // 2}
    """
    assert isinstance(rule.right, KeyTarget)
    selectors = rule.left.selectors if isinstance(rule.left, Join) else (rule.left,)
    left = [base_of(selector) for selector in selectors]
    if isinstance(rule.left, Join) and rule.left.condition is not None:
        raise OneWay("the condition of a join is asked of tensors that are no more", rule.left.condition.at)
    computes = bool(rule.right.operations)
    _check_kept(left, rule.right.templates, computes)
    guards = [] if len(left) > 1 else list(_guards(rule.left))
    reflection = Reflection.of(left, rule.right.templates, (known or Known()) | known_by(guards))
    paths = tuple(reflection.path(template) for template in rule.right.templates)
    templates = tuple(map(reflection.template, left))
    conditions = [undone.condition for undone in reflection.undone.values() if undone.condition]
    in_place = len(paths) == len(left) == 1 and _in_place(left[0], rule.right.templates[0])
    excepts: tuple[Path, ...] = ()
    if in_place:
        conditions += guards
        excepts = tuple(_excepted(rule.left))
    else:
        conditions += [c for guard in guards if (c := reflection.guard(guard, computes)) is not None]
    condition = None
    for one in dict.fromkeys(conditions):
        condition = Boolean("and", condition, one) if condition else one
    return Mirrored(paths, templates, isinstance(rule.left, Join), in_place, condition, excepts)


def _excepted(selector: Selector) -> Iterator[Path]:
    """The paths that a selector leaves out, as far as these are plain paths."""
    match selector:
        case Guarded(selector=inner):
            yield from _excepted(inner)
        case Except(base=base, minus=Path() as minus):
            yield minus
            yield from _excepted(base)
        case Except(base=base, minus=Union(operands=operands)):
            yield from (operand for operand in operands if isinstance(operand, Path))
            yield from _excepted(base)


def base_of(selector: Selector) -> Path:
    """The path of a selector.

    Raises:
        OneWay: a union, whose branches become one.
    """
    match selector:
        case Path():
            return selector
        case Except(base=base) | Guarded(selector=base):
            return base_of(base)
        case Union(operands=(only,)):
            return base_of(only)
    raise OneWay("the branches of a union become one, and their keys do not say which they came from")


def _guards(selector: Selector) -> Iterator[Expression]:
    match selector:
        case Guarded(selector=inner, condition=condition):
            yield condition
            yield from _guards(inner)
        case Except(base=base):
            yield from _guards(base)


def _in_place(path: Path, template: Template) -> bool:
    """Whether a rule gives each key to the tensor that had it."""
    written = [tuple(map(_as_selected, segment.parts)) for segment in template.segments]
    return [_untyped(segment).parts for segment in path.segments] == written


def _as_selected(part: TargetPart) -> Part | None:
    match part:
        case Hole(expression=Name(name=name)):
            return Capture(name)
        case Mapped(name=name, alternatives=alternatives):
            return Capture(name, "one_of", alternatives)
        case Hole():
            return None
    return part


def _untyped(segment: Segment) -> Segment:
    plain = (Capture(p.name) if isinstance(p, Capture) and p.kind != "one_of" else p for p in segment.parts)
    return Segment(tuple(plain))


def _check_kept(left: list[Path], templates: tuple[Template, ...], computes: bool) -> None:
    """Whether all that the left side takes stands on the right side, or is gathered in an order.

    Raises:
        OneWay: something is lost.
    """
    parts = [part for template in templates for part in template.parts()]
    used = {name for template in templates for name in template.names()}
    stars = max(sum(isinstance(part, Star | Deep) for part in template.parts()) for template in templates)
    seen = 0
    for part in left[0].parts():
        if isinstance(part, Star | Deep):
            seen += 1
            if seen > stars:
                raise _lost(part)
        elif isinstance(part, Capture) and part.name not in used and len(left) == 1:
            if not (computes and part.kind in ("int", "one_of")):  # which are gathered in an order
                raise _lost(part)
        elif isinstance(part, Group) and not computes and not any(isinstance(p, Group) for p in parts):
            raise _lost(part)
    for path in left[1:]:
        lonely: list[Part] = [p for p in path.parts() if isinstance(p, Star | Deep | Group)]
        lonely += [c for c in path.captures() if c.name not in used]
        if lonely:
            raise _lost(lonely[0])


def _lost(part: Part) -> OneWay:
    return OneWay(f"`{part}` does not stand on the right side, so nothing says what it took", part.at)
