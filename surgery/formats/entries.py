"""The state dict inside a checkpoint: chosen by name, or the only one there is.

People save a state dict by itself, or in a container: ``{"epoch": 3, "state_dict": …, "optimizer": …}``, sometimes
several models in one file, sometimes a whole module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from surgery.diagnostics import fail
from surgery.formats.absent import what_is_there, where_tensors_are
from surgery.formats.contents import Checkpoint, Ordered, Placeholder, Trait
from surgery.formats.modules import module_tensors
from surgery.formats.nodes import children, is_container, is_mapping, is_module, items_of, tensor_like
from surgery.formats.survey import ROOT, Candidate, Survey, candidates
from surgery.formats.unread import unread
from surgery.suggest import did_you_mean
from surgery.tensors.expr import TensorExpr
from surgery.wording import listed

__all__ = ["ROOT", "Candidate", "StateDict", "candidates", "choose", "path_of"]


#: what a module keeps beside its tensors, which goes with it as it is, even if tensors are in it
_STATE = "_extra_state"


@dataclass(frozen=True, slots=True, eq=False)
class StateDict:
    """The state dict that was taken from a checkpoint.

    Attributes:
        entry: the path of containers at which it stands; empty for the root.
        tensors: key -> tensor, in the order of the file.
        kinds: key -> ``parameter`` or ``buffer``, for those that are known.
        extra: entries that are no tensors, by key.
        metadata: its ``_metadata``, where it had any.
        of_module: whether it was taken from a pickled module.
    """

    entry: tuple[str, ...]
    tensors: Mapping[str, TensorExpr]
    kinds: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] | None = None
    of_module: bool = False


def choose(checkpoint: Checkpoint, entry: str | None = None, separator: str | None = None) -> StateDict:
    """The state dict at `entry`, or the only one there is.

    Args:
        checkpoint: what was read.
        entry: a dotted path of containers, or several with ``or`` between them, of which the first that is there,
            and is not None, counts; ``.`` is the whole checkpoint.
        separator: what stands between the segments of a key, where that is no dot.

    Raises:
        SurgeryError: ``entry`` where there is none or more than one; ``unsupported-checkpoint`` where a pickled module
            has something for a tensor that is none.
    """
    path, node = _at(checkpoint, entry) if entry is not None else _only(checkpoint)
    state = _of_module(checkpoint, path, node) if is_module(node) else _of_mapping(checkpoint, path, node)
    if entry is None:
        _refuse_twins(checkpoint, state)
    return _split(checkpoint, state, separator) if separator and separator != "." else state


# choosing


def _only(checkpoint: Checkpoint) -> tuple[tuple[str, ...], Any]:
    found = candidates(checkpoint.tree)
    if len(found) == 1:
        return found[0].entry, _follow(checkpoint.tree, found[0].entry)
    if not found:
        notes = (what_is_there(checkpoint.tree), *where_tensors_are(checkpoint.tree))
        raise fail("entry", f"there is no state dict in `{checkpoint.shown}`", notes=notes)
    first = ".".join(found[0].entry) or ROOT
    name = f"`{{path: …, entry: {first}}}` in a recipe, `--entry {first}` on the command line"
    above = ".".join(_common(found[0].entry, found[-1].entry))
    together = f"`{above}` is all of them" if above else f"`{ROOT}` is everything"
    notes = (*_listed(found), f"name one of them: {name}; the entry {together} as one tree")
    raise fail("entry", f"`{checkpoint.shown}` holds {len(found)} state dicts", notes=notes)


def _refuse_twins(checkpoint: Checkpoint, state: StateDict) -> None:
    """Where nobody chose, no tensor may stand beside the state dict under the dotted name of one that is in it."""
    node, above = checkpoint.tree, list(state.entry)
    while above:
        beside = {name for name, child in children(node) if isinstance(child, TensorExpr)}
        twins = [key for key in (".".join((*above, key)) for key in state.tensors) if key in beside]
        if twins:
            note = f"the entry `{'.'.join(state.entry)}` leaves those beside it behind"
            message = f"two entries of `{checkpoint.shown}` have the key {listed(twins, 4)}"
            raise fail("entry", message, notes=(note,))
        node = _follow(node, (above.pop(0),))


def _common(first: tuple[str, ...], last: tuple[str, ...]) -> tuple[str, ...]:
    """The containers above both; above all, where these are the first and last in the order of the tree."""
    return tuple(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def _at(checkpoint: Checkpoint, entry: str) -> tuple[tuple[str, ...], Any]:
    alternatives = [part.strip() for part in re.split(r"\sor\s", entry)]
    for alternative in alternatives:
        path = () if alternative == ROOT else path_of(checkpoint.tree, alternative)
        if path is None:
            continue
        node = _follow(checkpoint.tree, path)
        # such as `ema: None` of a training without averages
        if node is None and alternative != alternatives[-1]:
            continue
        if not is_container(node) or not Survey().count(node):
            raise fail("entry", f"`{alternative}` of `{checkpoint.shown}` is no state dict: no tensors are in it")
        return path, node
    found = candidates(checkpoint.tree)
    names = [".".join(candidate.entry) for candidate in found] + [name for name, _ in children(checkpoint.tree)]
    near = did_you_mean(alternatives[0], names)
    listed = _listed(found) or [what_is_there(checkpoint.tree)]
    raise fail(
        "entry", f"there is no entry `{entry}` in `{checkpoint.shown}`", notes=[*([near] if near else []), *listed]
    )


def path_of(node: Any, dotted: str) -> tuple[str, ...] | None:
    """The path, below `node`, that a dotted text means; None where nothing is.

    A name may have dots of its own; the longest one counts.

    >>> path_of({"models": {"a.b": {}}}, "models.a.b")
    ('models', 'a.b')
    """
    inside = dict(children(node)) if is_container(node) else {}
    if dotted in inside:
        return (dotted,)
    segments = dotted.split(".")
    for size in range(len(segments) - 1, 0, -1):
        name = ".".join(segments[:size])
        if name in inside:
            below = path_of(inside[name], ".".join(segments[size:]))
            if below is not None:
                return (name, *below)
    return None


def _follow(node: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        node = dict(children(node))[name]
    return node


def _listed(found: list[Candidate]) -> list[str]:
    shown = [str(candidate) for candidate in found[:10]]
    more = [f"and {len(found) - 10} more"] if len(found) > 10 else []
    return [f"state dicts in it: {', '.join(shown + more)}"] if found else []


# taking


def _of_module(checkpoint: Checkpoint, path: tuple[str, ...], node: Any) -> StateDict:
    tensors: dict[str, TensorExpr] = {}
    kinds: dict[str, str] = {}
    odd = _Unread()
    for key, value, kind in module_tensors(node):
        if tensor_like(value):
            value = odd.tensor(key, value)
        if not isinstance(value, TensorExpr):
            message = f"`{checkpoint.shown}`: the tensor `{key}` is a `{value}`, and no tensor"
            raise fail("unsupported-checkpoint", message)
        form = kind or checkpoint.traits.get(value, Trait()).form
        if form == "attribute":
            continue
        tensors[key] = value
        if form in ("parameter", "buffer"):
            kinds[key] = form
    return StateDict(path, tensors, kinds, of_module=True)


def _of_mapping(checkpoint: Checkpoint, path: tuple[str, ...], node: Any) -> StateDict:
    tensors: dict[str, TensorExpr] = {}
    extra: dict[str, Any] = {}
    survey = Survey(checkpoint.shown)
    odd = _Unread()

    def take(node: Any, prefix: str) -> None:
        for name, child in _items(checkpoint, node):
            key = f"{prefix}{name}"
            if key in tensors or key in extra:
                raise fail("entry", f"two entries of `{checkpoint.shown}` have the key `{key}`")
            if isinstance(child, TensorExpr):
                tensors[key] = child
            elif tensor_like(child):
                tensors[key] = odd.tensor(key, child)
            elif is_container(child) and name.rpartition(".")[2] != _STATE and survey.count(child):
                take(child, f"{key}.")
            else:
                extra[key] = child

    take(node, "")
    attributes = node.attributes if isinstance(node, Ordered) else node.state if isinstance(node, Placeholder) else None
    metadata = attributes.get("_metadata") if isinstance(attributes, Mapping) else None
    kinds = {
        key: "parameter"
        for key, tensor in tensors.items()
        if tensor in checkpoint.traits and checkpoint.traits[tensor].form == "parameter"
    }
    return StateDict(path, tensors, kinds, extra, metadata if isinstance(metadata, Mapping) else None)


def _items(checkpoint: Checkpoint, node: Any) -> Iterator[tuple[str, Any]]:
    """The items of a container of a state dict; of an object that is like a mapping, without its attributes."""
    pairs = node.items() if isinstance(node, Mapping) else node.items if is_mapping(node) else ()
    for key, value in pairs:
        if isinstance(value, TensorExpr) and not isinstance(key, str | int):
            raise fail("entry", f"a tensor of `{checkpoint.shown}` has the key {key!r}, which is no text")
    return items_of(node) if isinstance(node, Placeholder) and node.mapping else children(node)


class _Unread:
    """The tensors of a state dict that stay as they stand; one that stands in two places is one expression."""

    def __init__(self) -> None:
        self._made: dict[int, TensorExpr] = {}

    def tensor(self, key: str, node: Any) -> TensorExpr:
        return self._made.setdefault(id(node), unread(key, node))


def _split(checkpoint: Checkpoint, state: StateDict, separator: str) -> StateDict:
    """The state dict with dots where `separator` stood."""
    named: dict[str, str] = {}
    seen: set[str] = set()
    for key in state.tensors:
        new = key.replace(separator, ".")
        if new in seen or "" in new.split("."):
            what = "is the key of two tensors" if new in seen else "is no key"
            raise fail("entry", f"`{checkpoint.shown}`: with the separator `{separator}`, `{new}` {what}", notes=[key])
        seen.add(new)
        named[key] = new
    return StateDict(
        state.entry,
        {named[key]: tensor for key, tensor in state.tensors.items()},
        {named[key]: kind for key, kind in state.kinds.items()},
        {key.replace(separator, "."): value for key, value in state.extra.items()},
        None,
        state.of_module,
    )
