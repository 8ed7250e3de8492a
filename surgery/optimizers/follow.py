"""Optimizers follow: state of parameters that stay is re-indexed, of others it goes, new ones join a group."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.formats.contents import Rest
from surgery.formats.editing import with_changes, with_node
from surgery.formats.nodes import children, is_optimizer
from surgery.optimizers.numbering import Numbering, numbering
from surgery.optimizers.owners import is_of
from surgery.optimizers.parameters import Survivor, other_models, parameters_before, survivors
from surgery.planning.context import Context
from surgery.tensors.expr import TensorExpr, detach
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Subject
from surgery.wording import listed

__all__ = ["follow_optimizers"]

_DEEPEST = 6


def follow_optimizers(subject: Subject, context: Context) -> Subject:
    """The subject with every optimizer in the rest of its checkpoint in step with its parameters.

    State follows parameters by name through renaming, dropping, replacement, freezing, extraction and reordering: it is
    handed on as it stands, bit for bit. State of parameters that are gone, or whose values were computed anew, goes. A
    new parameter joins the group of the layer that it replaces, else that of its nearest neighbour, and begins without
    state. One that the optimizer did not have (frozen, and left out) it does not get. In each group the order is that
    of the result, as ``model.parameters()`` gives it.

    Errors (to the context): ``optimizer-state``; the parameters changed, and it is not certain which of them the
    numbers in the optimizer stand for.
    """
    rest: Rest | None = subject.rest
    if rest is None or not rest.entry:
        return subject
    before = parameters_before(rest, subject)
    others = other_models(rest)
    after = survivors(rest, subject, before)
    moved = [one.old for one in after] != list(before)
    if not moved and [one.key for one in after] == list(before):
        return subject
    optimizers = [(p, o) for p, o in _optimizers(rest.tree, rest.entry) if moved or _names_parameters(o)]
    several = sum(numbering(optimizer, before) is not None for _, optimizer in optimizers) > 1
    changed = rest.tree
    for path, optimizer in optimizers:
        numbers = numbering(optimizer, before)
        rivals = [entry for entry, other in others.items() if numbering(optimizer, other) is not None]
        if numbers is None and rivals:
            continue
        # one optimizer that fits is the model's own; of several, one may be that of a model of equal shapes
        ours = is_of(path, rest.entry, rivals) if several else True
        if numbers is None or ours is None:
            _report(path, optimizer, before, context)
        elif ours:
            following = _Following(optimizer, numbers, after)
            changed = with_node(changed, path, following.result())
            context.remarks.append(following.remark(".".join(path)))
    return subject.replace(rest=dataclasses.replace(rest, tree=changed))


def _optimizers(tree: Any, entry: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The optimizers in a checkpoint, with their paths; not those inside the state dict itself."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    seen: set[int] = set()
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if is_optimizer(node) and _is_whole(node):
            yield path, node
        elif path != entry and len(path) < _DEEPEST and isinstance(node, Mapping | list | tuple):
            waiting.extend(((*path, name), child) for name, child in children(node))


def _is_whole(node: Mapping[str, Any]) -> bool:
    groups = node["param_groups"]
    return (
        isinstance(node["state"], Mapping)
        and isinstance(groups, list | tuple)
        and all(isinstance(group, Mapping) and isinstance(group.get("params"), list | tuple) for group in groups)
    )


def _names_parameters(optimizer: Mapping[str, Any]) -> bool:
    """Whether the optimizer knows names, which a renaming changes."""
    return any(
        group.get("param_names") or any(isinstance(number, str) for number in group["params"])
        for group in optimizer["param_groups"]
    )


def _report(path: tuple[str, ...], optimizer: Mapping[str, Any], before: Mapping[str, Spec], context: Context) -> None:
    count = sum(len(group["params"]) for group in optimizer["param_groups"])
    message = f"`{'.'.join(path)}` numbers {count} parameters, and it is not certain which they are"
    notes = (
        f"the state dict has {len(before)} parameters; order and shapes of the optimizer's state do not tell",
        "an optimizer made with `model.named_parameters()` saves their names; `container: bare` leaves it out",
    )
    context.report("optimizer-state", message, notes=notes)


@dataclass(slots=True)
class _Following:
    """One optimizer on its way."""

    optimizer: Mapping[str, Any]
    numbers: Numbering
    after: list[Survivor]
    new: list[str] = field(default_factory=list)
    kept: int = 0

    def result(self) -> Mapping[str, Any]:
        """The optimizer's state dict for the parameters of the result."""
        group_of = self._groups_before()
        members: list[list[Survivor]] = [[] for _ in self.optimizer["param_groups"]]
        previous = 0
        for one in self.after:
            sources = (one.old,) if one.old is not None else one.related
            if sources and not any(name in group_of for name in sources):
                # it was left out of the optimizer, as frozen parameters are
                continue
            previous = self._group(one, group_of, previous)
            members[previous].append(one)
        by_name = any(isinstance(number, str) for number in self.numbers)
        state, groups, count = {}, [], 0
        number_of = {key: number for number, key in self.numbers.items()}
        taken: set[str] = set()
        for group, inside in zip(self.optimizer["param_groups"], members, strict=True):
            ids: list[Hashable] = []
            for one in inside:
                new = one.key if by_name else count + len(ids)
                ids.append(new)
                old = self.optimizer["state"].get(number_of.get(one.old)) if one.old else None
                if old is not None:
                    state[new] = _copied(old) if one.old in taken else old
                    taken.add(one.old or "")
            groups.append(_group_with(group, ids, inside))
            count += len(ids)
        return with_changes(self.optimizer, {"state": state, "param_groups": groups})

    def _groups_before(self) -> dict[str, int]:
        return {
            self.numbers[number]: index
            for index, group in enumerate(self.optimizer["param_groups"])
            for number in group["params"]
        }

    def _group(self, one: Survivor, group_of: Mapping[str, int], previous: int) -> int:
        """The group of a parameter: its own, that of what it was made of, or that of its layer."""
        if one.old is not None and one.old in group_of:
            self.kept += 1
            return group_of[one.old]
        self.new.append(one.key)
        for name in one.related:
            if name in group_of:
                return group_of[name]
        *layer, leaf = one.key.split(".")
        while layer:
            inside = f".{'.'.join(layer)}."
            near = [name for name in group_of if inside in f".{name}"]
            # weights and biases may be in groups of their own
            alike = [name for name in near if name.rpartition(".")[2] == leaf]
            if near:
                return group_of[(alike or near)[0]]
            layer.pop()
        return previous

    def remark(self, name: str) -> str:
        """What became of the optimizer, for the plan."""
        begins = ""
        if self.new:
            begins = f"; new in it: {listed(self.new, 3, mark='')}"
        gone = len(self.numbers) - self.kept
        return f"{name}: {self.kept} parameters keep their state, that of {gone} goes{begins}"


def _copied(state: Any) -> Any:
    """The state of one parameter for a second one, sharing nothing with it."""
    if not isinstance(state, Mapping):
        return state
    return with_changes(state, {k: detach(v) for k, v in state.items() if isinstance(v, TensorExpr)})


def _group_with(group: Mapping[str, Any], ids: list[Hashable], inside: list[Survivor]) -> Mapping[str, Any]:
    names = {"param_names": [one.key for one in inside]} if group.get("param_names") else {}
    return with_changes(group, {"params": ids, **names})
