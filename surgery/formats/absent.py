"""What a checkpoint holds instead of the state dict that was looked for, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from surgery.formats.contents import Placeholder
from surgery.formats.nodes import children, is_container, tensor_like
from surgery.formats.survey import ROOT, Survey
from surgery.limits import limits
from surgery.tensors.expr import TensorExpr
from surgery.wording import listed

__all__ = ["what_is_there", "where_tensors_are"]


def what_is_there(tree: Any) -> str:
    """The names in a tree, or what it is if it has none."""
    if isinstance(tree, TensorExpr):
        return f"it holds one tensor, {tree.spec}, without a name"
    names = [name for name, _ in children(tree)]
    return f"it holds {listed(names, 8) if names else _without_names(tree)}"


def where_tensors_are(tree: Any) -> list[str]:
    """Notes on tensors that look like no model, or cannot be read."""
    survey = Survey()
    found = [(name, survey.count(child)) for name, child in children(tree)]
    inside = [name for name, count in found if count]
    notes = []
    if inside:
        text = f"tensors stand in {listed(inside, 4)}, which look like no model: `entry` takes them by name"
        notes.append(f"{text}; the entry `{ROOT}` is everything as one tree")
    unread = next(_unread(tree, "", limits().depth, set()), None)
    return [*notes, *([unread] if unread else [])]


def _unread(node: Any, prefix: str, depth: int, seen: set[int]) -> Iterator[str]:
    if id(node) in seen or not depth:
        return
    seen.add(id(node))
    for name, child in children(node):
        if why := tensor_like(child):
            yield f"the tensor `{prefix}{name}` {why}"
        elif is_container(child):
            yield from _unread(child, f"{prefix}{name}.", depth - 1, seen)


def _without_names(tree: Any) -> str:
    """What has nothing in it that could be named."""
    if isinstance(tree, Placeholder):
        return f"an object of {tree}"
    if isinstance(tree, Mapping) and tree:
        return "a mapping whose keys are no texts"
    if isinstance(tree, Mapping | list | tuple) or tree is None:
        return "nothing"
    return f"one value of the type {type(tree).__name__}"
