"""The nested state dict that was flattened when a distributed checkpoint was saved.

After ``set_element`` of ``torch/distributed/checkpoint/_traverse.py``: a key that is text belongs to a mapping, one
that is a number to a list, and what a list lacks (empty mappings are not saved) is None.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from surgery.formats.distributed.paths import TreePath, name_of
from surgery.formats.file import File
from surgery.formats.pickles.machine import Malformed
from surgery.limits import exceeded, limits

__all__ = ["nested"]


class _Container(dict[str | int, Any]):
    """A container that paths lead through: a mapping, or a list by its indices."""


def nested(file: File, values: Iterable[tuple[TreePath, Any]]) -> dict[str, Any]:
    """The mapping in which each value stands at its path.

    Raises:
        Malformed: two values stand in one place, or one stands inside of another.
        SurgeryError: code ``too-large``: it is nested too deeply, or lists are absurdly long.
    """
    root = _Container()
    for path, value in values:
        if len(path) > limits().depth:
            raise exceeded("depth", f"`{file.name}`: `{name_of(path)}` lies too deep", needed=len(path))
        node = root
        for key in path[:-1]:
            node = node.setdefault(key, _Container())
            if type(node) is not _Container:
                raise Malformed(f"the path of `{name_of(path)}` leads into something else")
        if path[-1] in node:
            raise Malformed(f"two entries stand at `{name_of(path)}`")
        node[path[-1]] = value
    places = sum(_length(container) for container in _containers(root))
    if places > limits().entries:
        raise exceeded("entries", f"`{file.name}` has lists with {places} places in all", needed=places)
    tree: dict[str, Any] = _finished(root)
    return tree


def _containers(root: _Container) -> Iterable[_Container]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(value for value in node.values() if type(value) is _Container)


def _length(container: _Container) -> int:
    """How many places the list has that a container stands for; 0 of a mapping."""
    indices = [key for key in container if isinstance(key, int)]
    if indices and len(indices) < len(container):
        raise Malformed("something in it is both a list and a mapping")
    return max(indices, default=-1) + 1


def _finished(node: Any) -> Any:
    if type(node) is not _Container:
        return node
    length = _length(node)
    if length:
        return [_finished(node.get(index)) for index in range(length)]
    return {key: _finished(value) for key, value in node.items()}
