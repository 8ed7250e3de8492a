"""Which parameter each number in an optimizer's state dict stands for.

``torch.optim.Optimizer.state_dict`` names parameters by number, counted through the groups in order. The names behind
the numbers come from ``param_names`` where the optimizer was made with names. Else they follow from how groups are
made: each has its parameters in the order of the model, and the groups come one after the other, or in another order
(the head first), or divide the parameters by what they are (matrices, vectors, biases), and some parameters may be left
out (frozen ones). Every such reading is held against the shapes of the state. None of those that fit is preferred.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import permutations, product
from types import MappingProxyType
from typing import Any, TypeAlias

from surgery.optimizers.shapes import Shapes, may_be, shapes_of
from surgery.tensors.spec import Spec
from surgery.wrappers import WRAPPERS

__all__ = ["Numbering", "readings"]

#: of more groups than this the order is not searched for
_MOST_GROUPS = 5

#: number (or name) in the optimizer -> key in the state dict
Numbering: TypeAlias = dict[Hashable, str]
#: the numbers of one parameter group
_Group: TypeAlias = Sequence[Hashable]
#: parameters of one kind, with their shapes, in the order of the model
_Lane: TypeAlias = Mapping[str, Spec]


def readings(
    optimizer: Mapping[str, Any], before: Mapping[str, Spec], stretches: Mapping[str, int] = MappingProxyType({})
) -> Iterator[Numbering]:
    """The ways to read the numbers; some come twice.

    Args:
        optimizer: its state dict.
        before: the parameters of the model, in its order.
        stretches: parameters among which it makes no difference which a number stands for, by the number of their
            stretch, so that one way is enough. Those of a stretch stand one behind the other.
    """
    groups = [list(group["params"]) for group in optimizer["param_groups"]]
    numbers = [number for group in groups for number in group]
    names = numbers
    if not (numbers and all(isinstance(number, str) for number in numbers)):
        names = [name for group in optimizer["param_groups"] for name in group.get("param_names") or ()]
    if names and len(names) == len(numbers):
        named = _by_name(numbers, names, before)
        return iter(() if named is None else (named,))
    shapes = {number: shapes_of(optimizer["state"].get(number)) for number in numbers}
    return _by_shape(groups, shapes, before, stretches)


def _by_name(numbers: _Group, names: Sequence[Any], before: Mapping[str, Spec]) -> Numbering | None:
    """By the names that the optimizer knows; the state dict's may have a prefix more, and either may be wrapped."""
    by_end: dict[str, list[str]] = {}
    for key in before:
        segments = _plain(key)
        for start in range(len(segments)):
            by_end.setdefault(".".join(segments[start:]), []).append(key)
    found = {}
    for number, name in zip(numbers, names, strict=True):
        meant = [name] if name in before else by_end.get(".".join(_plain(name)), [])
        if len(meant) != 1:
            return None
        found[number] = meant[0]
    return found


def _plain(name: str) -> list[str]:
    return [segment for segment in name.split(".") if segment not in WRAPPERS]


def _by_shape(
    groups: Sequence[_Group], shapes: Mapping[Hashable, Shapes], before: _Lane, stretches: Mapping[str, int]
) -> Iterator[Numbering]:
    """The readings that fit the shapes of the state."""
    for lanes in _divisions(before):
        choices = [[lane for lane in lanes if _may_lie(group, lane, shapes)] for group in groups]
        for chosen in _assignments(choices, len(lanes)):
            inside = [[group for group, of in zip(groups, chosen, strict=True) if of is lane] for lane in lanes]
            yield from _laid_along(inside, lanes, shapes, stretches)


def _divisions(before: _Lane) -> Iterator[list[_Lane]]:
    """How parameters are divided among groups: not at all, vectors apart (weight decay), biases apart, or both."""
    for biases, vectors in ((False, False), (False, True), (True, False), (True, True)):
        lanes: dict[tuple[bool, bool], dict[str, Spec]] = {}
        for key, spec in before.items():
            bias = biases and key.rpartition(".")[2] == "bias"
            lanes.setdefault((bias, vectors and not bias and len(spec.shape) <= 1), {})[key] = spec
        yield list(lanes.values())


def _may_lie(group: _Group, lane: _Lane, shapes: Mapping[Hashable, Shapes]) -> bool:
    there, asked = {spec.shape for spec in lane.values()}, {shapes[number] for number in group}
    return len(group) <= len(lane) and all(any(may_be(one, shape) for shape in there) for one in asked)


def _assignments(choices: Sequence[Sequence[_Lane]], lanes: int) -> Iterator[tuple[_Lane, ...]]:
    """The lane of each group. What divides one lane into groups (head and body) divides every lane so."""
    if len(choices) > _MOST_GROUPS:
        # a group for each layer: the shapes have to tell
        if all(len(choice) == 1 for choice in choices):
            yield tuple(choice[0] for choice in choices)
        return
    for chosen in product(*choices):
        counts = [sum(one is lane for one in chosen) for lane in chosen]
        if all(count * lanes == len(choices) for count in counts):
            yield chosen


def _laid_along(
    groups: Sequence[Sequence[_Group]],
    lanes: Sequence[_Lane],
    shapes: Mapping[Hashable, Shapes],
    stretches: Mapping[str, int],
) -> Iterator[Numbering]:
    """The ways to lay the groups of each lane along it, one lane with another."""
    if not lanes:
        yield {}
        return
    for first in _laid(groups[0], lanes[0], shapes, stretches):
        for others in _laid_along(groups[1:], lanes[1:], shapes, stretches):
            yield first | others


def _laid(
    groups: Sequence[_Group], lane: _Lane, shapes: Mapping[Hashable, Shapes], stretches: Mapping[str, int]
) -> Iterator[Numbering]:
    """The ways to lay groups along a lane, in any order of the groups."""
    names = list(lane)
    for arranged in permutations(groups) if len(groups) <= _MOST_GROUPS else [groups]:
        numbers = [number for group in arranged for number in group]
        last = _rightmost(numbers, lane, shapes)
        if last is not None:
            ways = _increasing(numbers, list(lane.items()), shapes, last)
            first = next(ways)
            yield dict(zip(numbers, first, strict=True))
            # each number moves between the place that it has in the first way, and its last
            ends = zip(first, (names[place] for place in last), strict=True)
            if all(one == end or stretches.get(one, -1) == stretches.get(end, -2) for one, end in ends):
                continue
            for keys in ways:
                yield dict(zip(numbers, keys, strict=True))


def _rightmost(numbers: _Group, lane: _Lane, shapes: Mapping[Hashable, Shapes]) -> list[int] | None:
    """The last places in a lane that the numbers can have, in order; None where they have none."""
    specs = list(lane.values())
    place, found = len(specs), []
    for number in reversed(numbers):
        place = next((i for i in range(place - 1, -1, -1) if may_be(shapes[number], specs[i].shape)), -1)
        if place < 0:
            return None
        found.append(place)
    return found[::-1]


def _increasing(
    numbers: _Group, lane: Sequence[tuple[str, Spec]], shapes: Mapping[Hashable, Shapes], last: Sequence[int]
) -> Iterator[list[str]]:
    """The keys of the numbers, each behind that of the one before; `last` are the last places they can have."""
    places: list[int] = []
    place = 0
    while True:
        while len(places) < len(numbers):
            shape = shapes[numbers[len(places)]]
            end = last[len(places)]
            place = next((i for i in range(place, end + 1) if may_be(shape, lane[i][1].shape)), end + 1)
            if place > end:
                break
            places.append(place)
            place += 1
        else:
            yield [lane[i][0] for i in places]
        if not places:
            return
        place = places.pop() + 1
