"""One key rule in the mirror: its right side becomes a selector, its left side a key.

What stands on both sides changes places; what is gathered over is scattered over, and the other way round. Whether the
mirrored rule takes just the keys that the rule made is not asked here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from surgery.inversion.arithmetic import Known, Parted, Undone, parted, plus, small, undo, undo_two
from surgery.inversion.conditions import known as known_by
from surgery.inversion.conditions import says_only_remainders, shifted, told
from surgery.lang.expression import Arithmetic, Boolean, Comparison, Const, Expression, Name, names
from surgery.lang.path import Capture, Deep, Group, Part, Path, Segment, Star
from surgery.lang.rule import Join, KeyTarget, Rule
from surgery.lang.selector import Except, Guarded, Selector, Union
from surgery.lang.template import Hole, Mapped, TargetPart, TargetSegment, Template

__all__ = ["Mirrored", "OneWay", "base_of", "mirrored"]


class OneWay(ValueError):
    """A rule whose result does not say what it was made of. `at` are the characters to blame."""

    def __init__(self, message: str, at: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.at = at


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
    glass = _Glass.of(left, rule.right.templates, (known or Known()) | known_by(guards))
    paths = tuple(glass.path(template) for template in rule.right.templates)
    templates = tuple(map(glass.template, left))
    conditions = [undone.condition for undone in glass.undone.values() if undone.condition]
    conditions += glass.extra
    in_place = len(paths) == len(left) == 1 and _in_place(left[0], rule.right.templates[0])
    excepts: tuple[Path, ...] = ()
    if in_place:
        conditions += guards
        excepts = tuple(_excepted(rule.left))
    else:
        conditions += [c for guard in guards if (c := glass.guard(guard, computes)) is not None]
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
    used = {part.name for part in parts if isinstance(part, Mapped)}
    used |= {name.name for part in parts if isinstance(part, Hole) for name in names(part.expression)}
    stars = max(sum(isinstance(part, Star | Deep) for part in template.parts()) for template in templates)
    seen = 0
    for part in left[0].parts():
        if isinstance(part, Star | Deep):
            seen += 1
            if seen > stars:
                raise OneWay(f"`{part}` does not stand on the right side, so nothing says what it took", part.at)
        elif isinstance(part, Capture) and part.name not in used and len(left) == 1:
            gathered = computes and part.kind in ("int", "one_of")
            if not gathered:
                raise OneWay(f"`{part}` does not stand on the right side, so nothing says what it took", part.at)
        elif isinstance(part, Group) and not computes and not any(isinstance(p, Group) for p in parts):
            raise OneWay(f"`{part}` does not stand on the right side, so nothing says what it took", part.at)
    for path in left[1:]:
        lonely: list[Part] = [p for p in path.parts() if isinstance(p, Star | Deep | Group)]
        lonely += [c for c in path.captures() if c.name not in used]
        if lonely:
            raise OneWay(f"`{lonely[0]}` does not stand on the right side, so nothing says what it took", lonely[0].at)


@dataclass(slots=True)
class _Glass:
    """What the parts of both sides become."""

    captures: Mapping[str, Capture]
    mapped: Mapping[str, Mapped]
    undone: dict[str, Undone]
    remainders: dict[Expression, str]
    extra: list[Expression]
    used: set[str]
    groups: bool
    known: Known

    @classmethod
    def of(cls, left: list[Path], templates: tuple[Template, ...], known: Known) -> _Glass:
        parts = [part for template in templates for part in template.parts()]
        captures = {c.name: c for path in reversed(left) for c in reversed(list(path.captures()))}
        glass = cls(
            captures=captures,
            mapped={part.name: part for part in parts if isinstance(part, Mapped)},
            undone={},
            remainders={},
            extra=[],
            used={part.name for part in parts if isinstance(part, Mapped)},
            groups=any(isinstance(part, Group) for part in parts),
            known=known,
        )
        holes = [part for part in parts if isinstance(part, Hole)]
        for name in dict.fromkeys(name.name for hole in holes for name in names(hole.expression)):
            glass.used.add(name)
            glass._undo(name, [hole for hole in holes if any(n.name == name for n in names(hole.expression))])
        return glass

    def _undo(self, name: str, holes: list[Hole]) -> None:
        """What the holes that a capture stands in say of it."""
        if all(isinstance(hole.expression, Name) for hole in holes):
            return
        distinct = list(dict.fromkeys(hole.expression for hole in holes))
        divided = parted(distinct) if len(distinct) == 2 else None
        if divided is not None:
            self._join(divided, next(e for e in distinct if isinstance(e, Arithmetic) and e.operator == "%"))
            return
        if len(distinct) > 1:
            listed = " and ".join(f"`{{{expression}}}`" for expression in distinct)
            raise OneWay(f"{listed} are made of one capture, which takes more than one rule backwards", holes[0].at)
        (expression,) = distinct
        one = undo(expression, self.known.remainders)
        found = undo_two(expression, self.known.below) if one is None else [one]
        if found is None:
            low = small(expression)
            unless = f", unless a condition bounds `{low}`" if low else ""
            raise OneWay(f"`{{{expression}}}` does not say what `{{{name}}}` was{unless}", holes[0].at)
        self.undone |= {undone.name: undone for undone in found if undone.name == name}

    def _join(self, by: Parted, remainder: Expression) -> None:
        """Put a capture together again that is parted."""
        other = next(letter for letter in "jklmnrst" if letter not in self.captures)
        self.remainders[remainder] = other
        whole = Arithmetic("+", Arithmetic("*", Const(by.divisor), Name(by.name)), Name(other))
        condition = Comparison((Name(other), Const(by.divisor)), ("<",))
        self.undone[by.name] = Undone(by.name, plus(whole, -by.shift), condition)

    def path(self, template: Template) -> Path:
        """A template as what selects its keys."""
        return Path(tuple(Segment(tuple(map(self._selected, s.parts))) for s in template.segments))

    def _selected(self, part: TargetPart) -> Part:
        match part:
            case Mapped(name=name, alternatives=alternatives):
                return Capture(name, "one_of", alternatives)
            case Hole(expression=Name(name=name)):
                # an index that is on the right only counts from 0
                return dataclasses.replace(self.captures[name]) if name in self.captures else Capture(name, "int")
            case Hole(expression=expression):
                return Capture(self.remainders.get(expression) or next(names(expression)).name, "int")
        return part

    def template(self, path: Path) -> Template:
        """A path as the keys that it selects."""
        return Template(tuple(TargetSegment(tuple(map(self._given, segment.parts))) for segment in path.segments))

    def _given(self, part: Part) -> TargetPart:
        if not isinstance(part, Capture):
            return part
        if part.name in self.undone:
            return Hole(self.undone[part.name].expression)
        if part.name in self.mapped:
            return Mapped(part.name, part.alternatives)
        if part.kind == "one_of" and part.name not in self.used:
            if self.groups:
                raise OneWay(f"`{part}` is gathered over beside groups that are kept", part.at)
            return Group(part.alternatives)
        return Hole(Name(part.name))

    def guard(self, condition: Expression, computes: bool) -> Expression | None:
        """The condition of a rule as one of the mirrored rule; None where it asks what is no more."""
        found = list(dict.fromkeys(n.name for n in names(condition)))
        for name in found:
            if name in self.captures:
                if name not in self.used or name in self.mapped:
                    return None
                if name in self.undone and name in self.known.remainders and says_only_remainders(condition, name):
                    return None  # what it says, the mirrored key says by itself
            elif name in ("key", "kind") or (computes and name in ("ndim", "shape", "dtype", "floating", "numel")):
                return None
        for remainder, other in self.remainders.items():
            condition = shifted(condition, remainder, Name(other))
        # of two captures in one number, the one whose name that number has comes first
        for undone in sorted((self.undone[n] for n in found if n in self.undone), key=_is_of_another):
            condition = shifted(condition, Name(undone.name), undone.expression)
        return told(condition)


def _is_of_another(undone: Undone) -> bool:
    return undone.name not in {name.name for name in names(undone.expression)}
