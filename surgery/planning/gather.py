"""Fan-in: which of the tensors that a rule selects belong together, and in which order.

Like einsum: what stands on both sides of a rule is the identity of a result, what stands on the left only is gathered
over. What the subtree carries over is part of the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

from surgery.collapse import format_indices
from surgery.lang.match import Match
from surgery.lang.path import Capture, Deep, Group, Path, Star
from surgery.lang.render import Filling
from surgery.planning.shape import Shape

__all__ = ["GatherError", "Gathered", "Taken", "gather", "is_gathered"]

#: the place of a tensor among those that it is gathered with: one value for each index that is not kept
_Indices: TypeAlias = tuple[Any, ...]
#: is told a message, and the characters of the rule that it is about
_Warn: TypeAlias = Callable[[str, tuple[int, int]], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """A key that a rule took: the path that matched it, and what that took."""

    key: str
    path: Path
    match: Match


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
    """Keys that should be gathered are incomplete or have no order.

    Attributes:
        note: what would mend it.
        at: the characters of the index in question, in the rule.
    """

    def __init__(self, message: str, note: str | None = None, at: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.note = note
        self.at = at


def is_gathered(item: Taken, shape: Shape) -> bool:
    """Whether this key has an index that stands on the left only."""
    return any(True for _ in _gathered(item, shape))


def gather(
    taken: Sequence[Taken],
    shape: Shape,
    *,
    ordered: bool,
    fills: bool,
    warn: _Warn | None = None,
) -> list[Gathered]:
    """Group the keys of one selector by identity and put each group in order: the left index varies slowest.

    Args:
        taken: the keys, in order.
        shape: what the right side of the rule keeps.
        ordered: whether the order of a group matters.
        fills: whether members may be missing; their places are None then.
        warn: told where integers do not run equally far in all groups, with the place of the index.

    Raises:
        GatherError: a group lacks a member, an integer index has a gap, or an index has no order.
    """
    groups: dict[Hashable, dict[_Indices, Taken]] = {}
    axes: tuple[Any, ...] = ()
    for item in taken:
        pairs = list(_gathered(item, shape))
        axes = tuple(part for part, _ in pairs)
        indices = tuple(value for _, value in pairs)
        members = groups.setdefault(shape.identity(item.match), {})
        other = members.setdefault(indices, item)
        if other is not item:
            raise GatherError(f"`{other.key}` and `{item.key}` stand in the same place of what is gathered")
    if ordered and len(groups) < len(taken):
        for part in axes:
            _refuse_unordered(part)
    everywhere = [_values(part, number, groups.values()) for number, part in enumerate(axes)]
    if warn is not None and not fills:
        _warn_ragged(axes, everywhere, groups.values(), warn)
    return [_arranged(members, axes, everywhere, fills) for members in groups.values()]


def _gathered(taken: Taken, shape: Shape) -> Iterator[tuple[Any, Any]]:
    """The indices that the right side does not keep, from left to right: (part, value to sort by)."""
    match = taken.match
    stars, groups = iter(match.stars), iter(match.groups)
    star = 0
    seen: set[str] = set()
    for part in taken.path.parts():
        if isinstance(part, Star | Deep):
            value = next(stars)
            if star >= shape.stars:
                yield part, value
            star += 1
        elif isinstance(part, Group):
            choice = next(groups)
            if not shape.groups:
                yield part, choice
        elif isinstance(part, Capture) and part.name not in shape.kept and part.name not in seen:
            seen.add(part.name)
            text = match.captures[part.name]
            yield part, int(text) if part.kind == "int" else match.choices.get(part.name, text)


def _is_int(part: Any) -> bool:
    return isinstance(part, Capture) and part.kind == "int"


def _refuse_unordered(part: Any) -> None:
    if isinstance(part, Star | Deep) or (isinstance(part, Capture) and part.kind in ("text", "deep")):
        name = part.name if isinstance(part, Capture) else "i"
        note = f"`{{{name}:int}}` sorts as integers, `(q|k|v)` as the alternatives stand"
        raise GatherError(f"`{part}` is gathered over, and text has no order", note, part.at)


def _values(part: Any, number: int, groups: Any) -> list[Any]:
    """All values that an index takes anywhere, in order; of alternatives, all that there are.

    Raises:
        GatherError: integers with a gap.
    """
    if getattr(part, "alternatives", ()):
        return list(range(len(part.alternatives)))
    values = sorted({indices[number] for members in groups for indices in members})
    if _is_int(part) and values[-1] - values[0] >= len(values):
        known = set(values)
        gap = next(v for v in range(values[0], values[-1]) if v not in known)
        raise GatherError(f"`{part}` has a gap: {format_indices(values)} are there, {gap} is not", at=part.at)
    return values


def _arranged(
    members: Mapping[_Indices, Taken], axes: tuple[Any, ...], everywhere: Sequence[Sequence[Any]], fills: bool
) -> Gathered:
    """One group in order. Its integers run from the first that is anywhere to the last that the group has."""
    first = next(iter(members.values()))
    gathered = Gathered(Filling.of(first.match, first.path), first.match.rest)
    wanted = [
        [v for v in values if v <= max(indices[number] for indices in members)]
        if _is_int(part) and not fills
        else values
        for number, (part, values) in enumerate(zip(axes, everywhere, strict=True))
    ]
    for indices in product(*wanted):
        member = members.get(indices)
        if member is None and not fills:
            lacking = " and ".join(_index_name(part, value) for part, value in zip(axes, indices, strict=True))
            note = "what stands on the left only is gathered over, and kept if it stands on the right too; "
            note += "`concat(missing='zeros')` fills what is missing"
            is_group = any(isinstance(part, Group) for part in axes)
            message = f"incomplete: next to `{first.key}` there is none for {lacking}"
            raise GatherError(message, note if is_group else None, axes[-1].at)
        gathered.members.append(member)
    return gathered


def _index_name(part: Any, value: Any) -> str:
    if getattr(part, "alternatives", ()):
        return f"`{'.'.join(part.alternatives[value])}`"
    return f"`{part}` = {value}"


def _warn_ragged(
    axes: tuple[Any, ...],
    everywhere: Sequence[Sequence[Any]],
    groups: Any,
    warn: Callable[[str, tuple[int, int]], None],
) -> None:
    """Warn where an integer does not run equally far in all groups: layers may differ, or some may be cut off."""
    for number, part in enumerate(axes):
        if not _is_int(part):
            continue
        last = everywhere[number][-1]
        for members in groups:
            reached = max(indices[number] for indices in members)
            if reached < last:
                key = next(iter(members.values())).key
                warn(f"`{part}` runs to {last} elsewhere, and to {reached} next to `{key}`", part.at)
                break
