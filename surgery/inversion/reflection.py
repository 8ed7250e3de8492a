"""What becomes of the captures, groups and wildcards of a rule that goes into the mirror."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from surgery.inversion.arithmetic import Known, Parted, Undone, parted, small, undo, undo_two
from surgery.inversion.conditions import says_only_remainders, shifted, told
from surgery.inversion.sums import plus
from surgery.inversion.text import plain_parameters
from surgery.lang.expression import Arithmetic, Comparison, Const, Expression, Name, names
from surgery.lang.path import Capture, Group, Part, Path, Segment
from surgery.lang.template import Hole, Mapped, TargetPart, TargetSegment, Template
from surgery.wording import listed

__all__ = ["OneWay", "Reflection"]


class OneWay(ValueError):
    """A rule whose result does not say what it was made of. `at` are the characters to blame."""

    def __init__(self, message: str, at: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.at = at


@dataclass(slots=True)
class Reflection:
    """What the parts of both sides of a rule become.

    Attributes:
        captures: those of the left side, by name.
        mapped: the named alternatives of the right side, by name.
        undone: how captures follow from the numbers that the right side makes of them.
        remainders: the captures that stand for ``i % n``, where the right side parts an index.
        used: the captures that the right side names.
        groups: whether the right side has unnamed groups.
        known: what is known of captures.
    """

    captures: Mapping[str, Capture]
    mapped: Mapping[str, Mapped]
    undone: dict[str, Undone]
    remainders: dict[Expression, str]
    used: set[str]
    groups: bool
    known: Known

    @classmethod
    def of(cls, left: list[Path], templates: tuple[Template, ...], known: Known) -> Reflection:
        parts = [part for template in templates for part in template.parts()]
        captures = {c.name: c for path in reversed(left) for c in reversed(list(path.captures()))}
        reflection = cls(
            captures=captures,
            mapped={part.name: part for part in parts if isinstance(part, Mapped)},
            undone={},
            remainders={},
            used={name for template in templates for name in template.names()},
            groups=any(isinstance(part, Group) for part in parts),
            known=known,
        )
        holes = [part for part in parts if isinstance(part, Hole)]
        for name in dict.fromkeys(name.name for hole in holes for name in names(hole.expression)):
            reflection._undo(name, [hole for hole in holes if any(n.name == name for n in names(hole.expression))])
        return reflection

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
            them = listed(map(_hole, distinct))
            raise OneWay(f"{them} are made of one capture, which takes more than one rule backwards", holes[0].at)
        (expression,) = distinct
        one = undo(expression, self.known.remainders)
        found = undo_two(expression, self.known.below) if one is None else [one]
        if found is None:
            low = small(expression)
            unless = f", unless a condition bounds `{low}`" if low else ""
            raise OneWay(f"`{_hole(expression)}` does not say what `{{{name}}}` was{unless}", holes[0].at)
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


def _hole(expression: Expression) -> str:
    return plain_parameters(f"{{{expression}}}")


def _is_of_another(undone: Undone) -> bool:
    return undone.name not in {name.name for name in names(undone.expression)}
