"""One optimizer on its way: for each of its groups the parameters of the result, and whose state they have."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from surgery.formats.editing import with_changes
from surgery.optimizers.numbering import Numbering
from surgery.optimizers.parameters import Survivor
from surgery.tensors.expr import TensorExpr, detach
from surgery.wording import listed

__all__ = ["Following", "Member"]


class Member(NamedTuple):
    """A parameter of the result in a group: its key, and the number whose state it has, None where it has none."""

    key: str
    number: Hashable | None


class Following:
    """An optimizer under one reading of its numbers.

    Attributes:
        members: for each group the parameters of the result that are in it, in order.
        outcome: for each group and each of its parameters, whose state it has. Readings of one outcome are one and the
            same optimizer, since torch goes by order.
    """

    def __init__(self, optimizer: Mapping[str, Any], numbers: Numbering, after: list[Survivor]) -> None:
        self._optimizer = optimizer
        self._numbers = numbers
        self._number_of = {key: number for number, key in numbers.items()}
        self._group_of = {
            numbers[number]: index
            for index, group in enumerate(optimizer["param_groups"])
            for number in group["params"]
        }
        #: the groups of the parameters by their keys before, and by those of the result
        self._near = self._group_of | {one.key: self._group_of[one.old] for one in after if one.old in self._group_of}
        self.members: list[list[Member]] = [[] for _ in optimizer["param_groups"]]
        previous = 0
        for one in after:
            sources = (one.old,) if one.old is not None else (*one.related, *one.replaced)
            if sources and not any(name in self._group_of for name in sources):
                # it was left out of the optimizer, as frozen parameters are
                continue
            previous = self._group(one, previous)
            self.members[previous].append(Member(one.key, self._number_of.get(one.old or "")))

    @property
    def outcome(self) -> list[list[Hashable]]:
        state = self._optimizer["state"]
        return [[one.number if one.number in state else None for one in inside] for inside in self.members]

    def _group(self, one: Survivor, previous: int) -> int:
        """The group of a parameter: its own, that of what it was made of, or that of its layer."""
        for name in (one.old, *one.related, *one.replaced):
            if name in self._group_of:
                return self._group_of[name]
        *layer, leaf = one.key.split(".")
        while layer:
            inside = f".{'.'.join(layer)}."
            near = [name for name in self._near if inside in f".{name}"]
            # weights and biases may be in groups of their own
            alike = [name for name in near if name.rpartition(".")[2] == leaf]
            if near:
                return self._near[(alike or near)[0]]
            layer.pop()
        return previous

    def result(self) -> Mapping[str, Any]:
        """The optimizer's state dict for the parameters of the result."""
        by_name = any(isinstance(number, str) for number in self._numbers)
        state: dict[Hashable, Any] = {}
        groups, count = [], 0
        taken: set[Hashable] = set()
        for group, inside in zip(self._optimizer["param_groups"], self.members, strict=True):
            ids: list[Hashable] = [one.key if by_name else count + i for i, one in enumerate(inside)]
            for new, one in zip(ids, inside, strict=True):
                old = self._optimizer["state"].get(one.number)
                if old is not None:
                    state[new] = _copied(old) if one.number in taken else old
                    taken.add(one.number)
            groups.append(_group_with(group, ids, inside))
            count += len(ids)
        return with_changes(self._optimizer, {"state": state, "param_groups": groups})

    def remark(self, name: str) -> str:
        """What became of the optimizer called `name`, for the plan."""
        members = [one for inside in self.members for one in inside]
        kept = {one.number for one in members if one.number is not None}
        new = [one.key for one in members if one.number is None]
        begins = f"; new in it: {listed(new, 3, mark='')}" if new else ""
        copies = len(members) - len(new) - len(kept)
        copied = f"; copies of theirs go to {copies} more" if copies else ""
        return (
            f"{name}: {len(kept)} parameters keep their state, that of {len(self._numbers) - len(kept)} goes"
            f"{copied}{begins}"
        )


def _copied(state: Any) -> Any:
    """The state of one parameter for a second one, sharing nothing with it."""
    if not isinstance(state, Mapping):
        return state
    return with_changes(state, {k: detach(v) for k, v in state.items() if isinstance(v, TensorExpr)})


def _group_with(group: Mapping[str, Any], ids: list[Hashable], inside: list[Member]) -> Mapping[str, Any]:
    names = {"param_names": [one.key for one in inside]} if group.get("param_names") else {}
    return with_changes(group, {"params": ids, **names})
