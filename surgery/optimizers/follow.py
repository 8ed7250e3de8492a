"""Optimizers follow: state of parameters that stay is re-indexed, of others it goes, new ones join a group."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from surgery.formats.contents import Placeholder, Rest
from surgery.formats.editing import with_node
from surgery.formats.nodes import children, is_optimizer
from surgery.optimizers.flat import flat_optimizer, is_flat, nested_optimizer
from surgery.optimizers.following import Following
from surgery.optimizers.numbering import readings
from surgery.optimizers.order import out_of_order
from surgery.optimizers.owners import owner_of
from surgery.optimizers.parameters import Survivor, other_models, parameters_before, stretches, survivors
from surgery.planning.context import Context
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Subject
from surgery.wording import listed

__all__ = ["follow_optimizers"]

_DEEPEST = 6
#: of more ways to read an optimizer's numbers than this it is not asked whether they come to the same
_MOST_READINGS = 200


def follow_optimizers(subject: Subject, context: Context, targets: Collection[tuple[str, ...]] = ()) -> Subject:
    """The subject with every optimizer in the rest of its checkpoint in step with its parameters.

    State follows parameters by name through renaming, dropping, replacement, freezing, extraction and reordering: it is
    handed on as it stands, bit for bit. State of parameters that are gone, or whose values were computed anew, goes. A
    new parameter joins the group of the layer that it replaces, else that of its nearest neighbour, and begins without
    state. What the optimizer did not have (frozen, and left out) it does not get, nor what replaces that. In each group
    the order is that of the result, as ``model.parameters()`` gives it.

    Args:
        subject: the result, with the rest of the checkpoint it came from.
        context: errors and remarks go there.
        targets: entries of other models in the checkpoint that the result takes the place of.

    Errors (to the context): ``optimizer-state``; the parameters changed, and it is not certain which of them the
    numbers in the optimizer stand for, or of which model they are.
    """
    rest: Rest | None = subject.rest
    if rest is None or not rest.entry:
        return subject
    before = parameters_before(rest, subject)
    after = survivors(rest, subject, before)
    moved = [one.old for one in after] != list(before)
    if not moved and [one.key for one in after] == list(before):
        return subject
    _remark_order(subject, rest, before, after, context)
    others = other_models(rest)
    changed = rest.tree
    for path, node in _optimizers(rest.tree, rest.entry):
        if isinstance(node, Placeholder):
            if moved:
                what = "a pickled optimizer, not its state dict"
                context.remarks.append(f"{'.'.join(path)}: {what}; it stays as it stood")
            continue
        optimizer = nested_optimizer(node) if is_flat(node) else node
        if not (moved or _names_parameters(optimizer)):
            continue
        rivals = [entry for entry, other in others.items() if any(True for _ in readings(optimizer, other))]
        outcomes = _outcomes(optimizer, before, after)
        if not outcomes and rivals:
            continue
        owner = owner_of(path, [rest.entry, *rivals])
        if owner is None:
            _report_owner(path, rest.entry, rivals, context)
        elif owner == rest.entry or owner in targets:
            if len(outcomes) != 1:
                _report(path, optimizer, before, context)
                continue
            result = outcomes[0].result()
            changed = with_node(changed, path, flat_optimizer(result) if is_flat(node) else result)
            context.remarks.append(outcomes[0].remark(".".join(path)))
    return subject.replace(rest=dataclasses.replace(rest, tree=changed))


def _remark_order(
    subject: Subject, rest: Rest, before: Mapping[str, Spec], after: Sequence[Survivor], context: Context
) -> None:
    """Say where a bare state dict has another order than any model: torch hands state on by the model's order."""
    if subject.skeleton is not None or not any(True for _ in _optimizers(rest.tree, rest.entry)):
        return
    pair = out_of_order(one.key for one in after)
    if pair is not None and out_of_order(before) is None:
        context.remarks.append(
            f"`{pair[0]}` stands before `{pair[1]}`, so its parameters come first in an optimizer: a model has them in "
            "the order of their numbers, into which a `load` into the model brings them"
        )


def _outcomes(optimizer: Mapping[str, Any], before: Mapping[str, Spec], after: list[Survivor]) -> list[Following]:
    """What may become of an optimizer, once for each difference that a reading of its numbers makes; two at most."""
    first: Following | None = None
    for count, numbers in enumerate(readings(optimizer, before, stretches(before, after))):
        following = Following(optimizer, numbers, after)
        if first is None:
            first = following
        elif count == _MOST_READINGS or following.outcome != first.outcome:
            return [first, following]
    return [] if first is None else [first]


def _optimizers(tree: Any, entry: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The optimizers in a checkpoint, with their paths; not those inside the state dict itself."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    seen: set[int] = set()
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        pickled = isinstance(node, Placeholder) and is_optimizer(node.state)
        if pickled or (is_optimizer(node) and _is_whole(node)) or is_flat(node):
            yield path, node
        elif path != entry and len(path) < _DEEPEST and isinstance(node, Mapping | list | tuple):
            waiting.extend([((*path, name), child) for name, child in children(node)][::-1])


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
    name = ".".join(path)
    message = f"`{name}` numbers {count} parameters, and it is not certain which they are"
    buffers = " (buffers of its own may be among them: a `load` into the model tells)" if len(before) > count else ""
    notes = (
        f"the state dict has {len(before)} parameters{buffers}; order and shapes of the optimizer's state do not tell",
        "an optimizer made with `model.named_parameters()` saves their names",
        f"`without: {name}` beside `container: keep` leaves it behind",
    )
    context.report("optimizer-state", message, notes=notes)


def _report_owner(
    path: tuple[str, ...], entry: tuple[str, ...], rivals: Sequence[tuple[str, ...]], context: Context
) -> None:
    models = listed([".".join(one) for one in (entry, *rivals)], 4)
    name = ".".join(path)
    message = f"`{name}` may be the optimizer of any of {models}"
    notes = (
        "their parameters have the same shapes, and its name does not tell",
        f"`without: {name}` beside `container: keep` leaves it behind",
    )
    context.report("optimizer-state", message, notes=notes)
