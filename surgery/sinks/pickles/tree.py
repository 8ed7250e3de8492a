"""What a torch file holds: the state dict alone, or in its place in the rest of the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import fail
from surgery.formats.contents import Ordered, Rest
from surgery.formats.editing import on_the_way, with_node, without_entries, without_node
from surgery.formats.following import following
from surgery.formats.nodes import is_module
from surgery.sinks.base import Request
from surgery.sinks.layout import Placed
from surgery.tensors.expr import TensorExpr

if TYPE_CHECKING:
    from surgery.sinks.pickles.tensors import PickledStorage
    from surgery.tensors.subject import Subject, Touch

__all__ = ["check_tree", "place", "traits_of", "tree_of"]


def check_tree(subject: Subject, request: Request) -> None:
    """Whether the rest of the checkpoint can be written around the state dict.

    Raises:
        SurgeryError: codes ``nothing-to-keep`` and ``not-in-this-format``.
    """
    rest: Rest | None = subject.rest
    if request.metadata:
        note = "`format: safetensors` has a place for it"
        raise fail("not-in-this-format", "a torch file has no place for `metadata`", request.span, (note,))
    if not request.keep:
        return
    if rest is None:
        if request.entry is None:
            note = "`container: bare` writes the tensors alone; `entry` names a place for them in a new container"
            raise fail("nothing-to-keep", "there is no checkpoint whose rest could be kept", request.span, (note,))
        return
    entry = rest.entry if request.entry is None else request.entry
    *above, _ = (rest.tree, *on_the_way(rest.tree, rest.entry))  # a module in a container gives way to its state dict
    if any(is_module(node) for node in above):
        note = "`container: bare` writes the state dict"
        raise fail(
            "nothing-to-keep", "the tensors stand in a pickled module, not in a container", request.span, (note,)
        )
    for node in on_the_way(rest.tree, entry[:-1]):
        if not isinstance(node, Mapping | list) and entry:
            message = f"the tensors cannot be put at `{'.'.join(entry)}`: on the way there is no container"
            raise fail("nothing-to-keep", message, request.span)


def tree_of(subject: Subject, request: Request) -> Any:
    """The object to be pickled. Nothing of the subject is changed."""
    rest: Rest | None = subject.rest
    state = _state_dict(subject)
    if not request.keep:
        return state
    if rest is None:
        assert request.entry is not None, "checked"
        return with_node({}, request.entry, state)
    if request.entry is None or request.entry == rest.entry:
        return with_node(without_entries(rest.tree, request.without), rest.entry, state)
    if not rest.entry:
        return with_node({}, request.entry, state)
    tree = without_node(without_entries(rest.tree, request.without), rest.entry)
    return with_node(tree, request.entry, state)


def _state_dict(subject: Subject) -> Ordered:
    state = Ordered({key: entry.expr for key, entry in subject.entries.items()})
    rest = following(subject)
    if rest is not None:
        for key, value in rest.extra.items():
            state.setdefault(key, value)
        if rest.state_metadata is not None:
            state.attributes = {"_metadata": Ordered(rest.state_metadata)}
    return state


def place(storages: Sequence[PickledStorage], offsets: Sequence[int], subject: Subject) -> tuple[Placed, ...]:
    """The tensors of a file, with the keys and the trails of those that a rule can have touched."""
    known: dict[int, tuple[str, tuple[Touch, ...]]] = {}
    for key, entry in subject.entries.items():
        known.setdefault(id(entry.expr), (key, entry.trail))
    placed = []
    for storage, offset in zip(storages, offsets, strict=True):
        key, trail = known.get(id(storage.expr), (f"storage {storage.key}", ()))
        placed.append(Placed(offset, key, storage.expr, trail))
    return tuple(placed)


def traits_of(subject: Subject, request: Request) -> Mapping[TensorExpr, Any]:
    """What is known of the tensors of the rest; those of the state dict are written as plain tensors."""
    if not request.keep or subject.rest is None:
        return {}
    own = {id(entry.expr) for entry in subject.entries.values()}
    return {expr: trait for expr, trait in subject.rest.traits.items() if id(expr) not in own}
