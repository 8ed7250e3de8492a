"""Trees of checkpoints with something else in one place. What is given is never changed: copies are made on the way."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from surgery.formats.contents import Ordered
from surgery.formats.entries import path_of

__all__ = ["on_the_way", "removable", "with_changes", "with_node", "without_entries", "without_node"]


def on_the_way(tree: Any, entry: tuple[str, ...]) -> Iterator[Any]:
    """The nodes from the root of `tree` to `entry`, as far as they are there."""
    yield tree
    for name in entry:
        key = _key(tree, name)
        if key is None:
            return
        tree = tree[key]
        yield tree


def with_node(node: Any, entry: tuple[str, ...], value: Any) -> Any:
    """A copy of `node`, along `entry` alone, with `value` there; containers that are missing are dicts.

    >>> with_node({"a": [1, 2], "b": {}}, ("a", "1"), 3)
    {'a': [1, 3], 'b': {}}
    """
    if not entry:
        return value
    name, *below = entry
    key = _key(node, name)
    inner = with_node({} if key is None else node[key], tuple(below), value)
    if isinstance(node, tuple):
        return (*node[:key], inner, *node[key + 1 :])
    changed = _copied(node)
    changed[name if key is None else key] = inner
    return changed


def without_node(node: Any, entry: tuple[str, ...]) -> Any:
    """A copy of `node`, along `entry` alone, in which nothing stands there.

    >>> without_node({"a": {"b": 1, "c": 2}}, ("a", "b"))
    {'a': {'c': 2}}
    """
    name, *below = entry
    key = _key(node, name)
    if below:
        return with_node(node, (name,), without_node(node[key], tuple(below)))
    if isinstance(node, tuple):
        return (*node[:key], *node[key + 1 :])
    changed = _copied(node)
    del changed[key]
    return changed


def without_entries(tree: Any, entries: Iterable[str]) -> Any:
    """A copy of `tree` without what stands at these dotted names, as far as `removable` finds it."""
    for entry in entries:
        path = removable(tree, entry)
        if path is not None:
            tree = without_node(tree, path)
    return tree


def removable(tree: Any, entry: str) -> tuple[str, ...] | None:
    """The path to an entry of mappings and lists; None where there is none, or it belongs to an object."""
    path = path_of(tree, entry)
    return path if path and len(list(on_the_way(tree, path))) == len(path) + 1 else None


def with_changes(node: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """A copy of a mapping, its kind and order kept, with some values changed."""
    changed = _copied(node)
    changed.update(changes)
    return changed  # type: ignore[no-any-return]


def _copied(node: Any) -> Any:
    """A shallow copy of a container; the attributes of an ordered one go along."""
    changed = copy.copy(node)
    if isinstance(node, Ordered):
        changed.attributes = node.attributes
    return changed


def _key(node: Any, name: str) -> Any:
    """The key or index of `node` that `name` stands for; None where there is none."""
    if isinstance(node, Mapping):
        return next((key for key in node if not isinstance(key, bool) and str(key) == name), None)
    if isinstance(node, list | tuple):
        return int(name) if name.isdecimal() and int(name) < len(node) else None
    return None
