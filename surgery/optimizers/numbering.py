"""Which parameter each number in an optimizer's state dict stands for.

``torch.optim.Optimizer.state_dict`` names parameters by number, counted through the groups in order. The names behind
the numbers come from ``param_names`` where the optimizer was made with names; else the order of the state dict is
taken, one group after the other, and held against the shapes of the state. Where that does not fit, groups may stand in
another order (the head first), and parameters may be left out (frozen ones): if the shapes of the state allow just one
reading, that is it. What is not certain is not guessed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, TypeAlias

from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["Numbering", "numbering"]

#: of more groups than this the order is not searched for
_MOST_GROUPS = 5

#: number (or name) in the optimizer -> key in the state dict
Numbering: TypeAlias = dict[Hashable, str]


def numbering(optimizer: Mapping[str, Any], before: Mapping[str, Spec]) -> Numbering | None:
    """The parameter of each number; None where that cannot be told."""
    groups = [list(group["params"]) for group in optimizer["param_groups"]]
    numbers = [number for group in groups for number in group]
    if numbers and all(isinstance(number, str) for number in numbers):
        return _by_name(numbers, numbers, before)
    names = [name for group in optimizer["param_groups"] for name in group.get("param_names") or ()]
    if names and len(names) == len(numbers):
        return _by_name(numbers, names, before)
    found = {tuple(order): order for order in _orders(groups, before) if _fits(numbers, order, optimizer, before)}
    if not found:
        found = {tuple(order): order for order in _regrouped(groups, optimizer, before)}
    if len(found) != 1:
        return None
    return dict(zip(numbers, next(iter(found)), strict=True))


def _by_name(numbers: Sequence[Hashable], names: Sequence[str], before: Mapping[str, Spec]) -> Numbering | None:
    """By the names that the optimizer knows; the state dict's may have a prefix more."""
    if not set(names) <= set(before):
        by_end: dict[str, list[str]] = {}
        for key in before:
            segments = key.split(".")
            for start in range(len(segments)):
                by_end.setdefault(".".join(segments[start:]), []).append(key)
        if any(len(by_end.get(name, ())) != 1 for name in names):
            return None
        names = [by_end[name][0] for name in names]
    return dict(zip(numbers, names, strict=True))


def _orders(groups: Sequence[Sequence[Hashable]], before: Mapping[str, Spec]) -> Iterator[list[str]]:
    """The orders that people make groups in: as they stand, or matrices apart from vectors (weight decay)."""
    keys = list(before)
    if sum(map(len, groups)) != len(keys):
        return
    yield keys
    if len(groups) == 2:
        matrices = [key for key in keys if len(before[key].shape) > 1]
        vectors = [key for key in keys if len(before[key].shape) <= 1]
        for first, second in ((matrices, vectors), (vectors, matrices)):
            if len(first) == len(groups[0]):
                yield first + second


def _regrouped(
    groups: Sequence[Sequence[Hashable]], optimizer: Mapping[str, Any], before: Mapping[str, Spec]
) -> Iterator[list[str]]:
    """The orders with the groups in any order, and parameters left out, where the shapes leave no choice."""
    if len(groups) > _MOST_GROUPS:
        return
    for arranged in permutations(groups):
        numbers = [number for group in arranged for number in group]
        first = _leftmost(numbers, list(before), optimizer, before)
        last = _leftmost(numbers[::-1], list(before)[::-1], optimizer, before)
        # the first and the last way to lay the numbers along the keys are one: there is no other
        if first is not None and last is not None and first == last[::-1]:
            key_of = dict(zip(numbers, first, strict=True))
            yield [key_of[number] for group in groups for number in group]


def _leftmost(
    numbers: Sequence[Hashable], keys: Sequence[str], optimizer: Mapping[str, Any], before: Mapping[str, Spec]
) -> list[str] | None:
    """The keys of the numbers, each the first behind that of the one before whose shape its state has."""
    waiting = iter(keys)
    found = []
    for number in numbers:
        state = optimizer["state"].get(number)
        key = next((key for key in waiting if _is_of(state, before[key])), None)
        if key is None:
            return None
        found.append(key)
    return found


def _is_of(state: Any, parameter: Spec) -> bool:
    """Whether state may be that of a parameter: none at all, or with a tensor of its very shape."""
    values = state.values() if isinstance(state, Mapping) else ()
    shapes = [value.spec.shape for value in values if isinstance(value, TensorExpr)]
    return not shapes or parameter.shape in shapes


def _fits(
    numbers: Sequence[Hashable], order: Sequence[str], optimizer: Mapping[str, Any], before: Mapping[str, Spec]
) -> bool:
    """Whether the state of every number has the shape of its parameter, or one that broadcasts to it."""
    state = optimizer["state"]
    return all(
        _broadcasts(value.spec.shape, before[key].shape)
        for number, key in zip(numbers, order, strict=True)
        if isinstance(state.get(number), Mapping)
        for value in state[number].values()
        if isinstance(value, TensorExpr)
    )


def _broadcasts(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    if len(shape) < len(whole):
        # counters, and the rows and columns of factored second moments
        return len(shape) == 0 or shape == (1,) or set(shape) <= set(whole)
    return len(shape) == len(whole) and all(a in (1, b) for a, b in zip(shape, whole, strict=True))
