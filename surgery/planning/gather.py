"""Fan-in: which of the tensors that a rule selects belong together, and in which order.

Like einsum: what stands on both sides of a rule is the identity of a result, what stands on the left only is gathered
over. What the subtree carries over is part of the identity.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from surgery.lang.expression import names
from surgery.lang.match import Match
from surgery.lang.path import Capture, Deep, Group, Path, Star
from surgery.lang.render import Filling
from surgery.lang.template import Hole, Mapped, Template

__all__ = ["GatherError", "Gathered", "Shape", "Taken", "gather"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A key that a rule took: the path that matched it, and what that took."""

    key: str
    path: Path
    match: Match
    selector: int = 0


@dataclass(slots=True)
class Gathered:
    """Keys that belong together, in order; None where one is missing and will be filled."""

    filling: Filling
    rest: tuple[str, ...]
    members: list[Taken | None] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The keys that are there."""
        return [member.key for member in self.members if member is not None]


class GatherError(ValueError):
    """Keys that should be gathered are incomplete or have no order."""

    def __init__(self, message: str, note: str | None = None) -> None:
        super().__init__(message)
        self.note = note


@dataclass(frozen=True, slots=True)
class Shape:
    """What the right side of a rule keeps, and what it scatters over.

    Attributes:
        kept: the captures that stand on both sides.
        stars: how many stars are kept, from the left.
        groups: whether groups stand on both sides.
        scattered: the captures that stand on the right only.
        group_sizes: the sizes of the groups that stand on the right only.
    """

    kept: frozenset[str]
    stars: int
    groups: bool
    scattered: tuple[str, ...] = ()
    group_sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, left: Sequence[Path], templates: Sequence[Template]) -> Shape:
        """What the templates of a rule do with what its left side binds."""
        captured = {capture.name for path in left for capture in path.captures()}
        has_groups = any(isinstance(part, Group) for path in left for part in path.parts())
        used: dict[str, None] = {}
        stars = 0
        sizes: tuple[int, ...] = ()
        for template in templates:
            parts = list(template.parts())
            stars = max(stars, sum(isinstance(p, Star | Deep) for p in parts))
            for part in parts:
                if isinstance(part, Mapped):
                    used[part.name] = None
                elif isinstance(part, Hole):
                    used.update((name.name, None) for name in names(part.expression))
            groups = [p for p in parts if isinstance(p, Group)]
            if groups and not has_groups:
                sizes = tuple(len(g.alternatives) for g in groups)
        kept_groups = has_groups and any(isinstance(p, Group) for t in templates for p in t.parts())
        scattered = tuple(name for name in used if name not in captured)
        return cls(frozenset(used) & frozenset(captured), stars, kept_groups, scattered, sizes)

    def identity(self, taken: Taken) -> Hashable:
        """What a key shares with the keys it is gathered with."""
        match = taken.match
        kept = tuple(sorted((name, match.captures[name]) for name in self.kept if name in match.captures))
        return kept, match.stars[: self.stars], match.groups if self.groups else (), match.rest

    def gathered(self, taken: Taken) -> Iterator[tuple[Any, Any]]:
        """The indices that the right side does not keep, from left to right: (part, value to sort by)."""
        match = taken.match
        stars, groups = iter(match.stars), iter(match.groups)
        star = 0
        seen: set[str] = set()
        for part in taken.path.parts():
            if isinstance(part, Star | Deep):
                value = next(stars)
                if star >= self.stars:
                    yield part, value
                star += 1
            elif isinstance(part, Group):
                choice = next(groups)
                if not self.groups:
                    yield part, choice
            elif isinstance(part, Capture) and part.name not in self.kept and part.name not in seen:
                seen.add(part.name)
                text = match.captures[part.name]
                yield part, int(text) if part.kind == "int" else match.choices.get(part.name, text)


def gather(taken: Sequence[Taken], shape: Shape, *, ordered: bool, fills: bool) -> list[Gathered]:
    """Group the keys of one selector by identity and put each group in order: the left index varies slowest.

    Raises:
        GatherError: a group lacks a member, an integer index has a gap, or an index has no order.
    """
    groups: dict[Hashable, list[tuple[tuple[Any, ...], Taken]]] = {}
    axes: tuple[Any, ...] = ()
    for item in taken:
        pairs = list(shape.gathered(item))
        axes = tuple(part for part, _ in pairs)
        groups.setdefault(shape.identity(item), []).append((tuple(value for _, value in pairs), item))
    if ordered and len(groups) < len(taken):
        for part in axes:
            _refuse_unordered(part)
    expected = _index_sets(axes, groups.values())
    return [_arranged(members, axes, expected, fills) for members in groups.values()]


def _refuse_unordered(part: Any) -> None:
    if isinstance(part, Star | Deep) or (isinstance(part, Capture) and part.kind in ("text", "deep")):
        note = (
            f"`{{{part.name}:int}}` sorts as integers" if isinstance(part, Capture) else "`{i:int}` sorts as integers"
        )
        raise GatherError(f"`{part}` is gathered over, and text has no order", note)


def _index_sets(axes: tuple[Any, ...], groups: Any) -> list[list[Any]]:
    """For each axis all the values that it takes anywhere, in order; of a group of alternatives, all of them."""
    sets: list[list[Any]] = []
    for number, part in enumerate(axes):
        if isinstance(part, Group) or (isinstance(part, Capture) and part.kind == "one_of"):
            sets.append(list(range(len(part.alternatives))))
            continue
        values = sorted({indices[number] for members in groups for indices, _ in members})
        if (
            isinstance(part, Capture)
            and part.kind == "int"
            and values != list(range(values[0], values[0] + len(values)))
        ):
            gap = next(v for v in range(values[0], values[-1]) if v not in values)
            raise GatherError(f"`{part}` has a gap: {_numbers(values)} are there, {gap} is not")
        sets.append(values)
    return sets


def _numbers(values: list[int]) -> str:
    return ", ".join(map(str, values[:8])) + (", …" if len(values) > 8 else "")


def _arranged(
    members: list[tuple[tuple[Any, ...], Taken]], axes: tuple[Any, ...], expected: list[list[Any]], fills: bool
) -> Gathered:
    first = members[0][1]
    gathered = Gathered(Filling.of(first.match, first.path), first.match.rest)
    by_index: dict[tuple[Any, ...], Taken] = {}
    for indices, item in members:
        if indices in by_index:
            message = f"`{by_index[indices].key}` and `{item.key}` stand in the same place of what is gathered"
            raise GatherError(message)
        by_index[indices] = item
    for indices in product(*expected):
        item_or_none = by_index.get(indices)
        if item_or_none is None and not fills:
            lacking = ", ".join(_index_name(part, value) for part, value in zip(axes, indices, strict=True))
            raise GatherError(f"incomplete: next to `{first.key}` there is none for {lacking}", _fill_note(axes))
        gathered.members.append(item_or_none)
    return gathered


def _index_name(part: Any, value: Any) -> str:
    if isinstance(part, Group | Capture) and part.alternatives:  # type: ignore[union-attr]
        return f"`{'.'.join(part.alternatives[value])}`"
    return f"`{part}` = {value}"


def _fill_note(axes: tuple[Any, ...]) -> str | None:
    if any(isinstance(part, Group) for part in axes):
        return "`concat(missing='zeros')` fills what is missing"
    return None
