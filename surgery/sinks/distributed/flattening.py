"""A nested state dict as a flat one, as ``torch.distributed.checkpoint`` has it: one entry for each tensor and object.

After ``traverse_state_dict`` of ``torch/distributed/checkpoint/_traverse.py``: mappings are always taken apart (an
empty one leaves nothing), lists where there is a mapping or a tensor in them, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.formats.distributed.paths import TreePath, name_of
from surgery.limits import exceeded, limits

__all__ = ["Flat", "flat"]


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat state dict.

    Attributes:
        values: each value with the path to it, in order.
        empty: the paths of mappings in which nothing stood.
    """

    values: list[tuple[TreePath, Any]] = field(default_factory=list)
    empty: list[TreePath] = field(default_factory=list)


def flat(tree: Mapping[Any, Any], is_tensor: Callable[[Any], bool]) -> Flat:
    """The flat state dict of a nested one.

    >>> flat({"epoch": 3, "groups": [{"lr": 0.1}], "shape": [2, 3]}, lambda value: False).values
    [(('epoch',), 3), (('groups', 0, 'lr'), 0.1), (('shape',), [2, 3])]

    Raises:
        SurgeryError: code ``too-large``: a container holds itself, or the same ones again and again.
    """
    found = Flat()
    _Walk(is_tensor, found).visit((), tree)
    return found


class _Walk:
    """Goes through one tree."""

    def __init__(self, is_tensor: Callable[[Any], bool], found: Flat) -> None:
        self._is_tensor = is_tensor
        self._found = found
        self._terminal: dict[int, bool] = {}
        self._left = limits().entries

    def visit(self, path: TreePath, value: Any) -> None:
        if len(path) > limits().depth:
            raise exceeded("depth", f"`{name_of(path[:3])}…`: containers lie too deep, or hold themselves")
        self._left -= 1
        if self._left < 0:
            raise exceeded("entries", "the rest of the checkpoint falls into too many entries")
        if isinstance(value, Mapping):
            if not value and path:
                self._found.empty.append(path)
            for key, inner in value.items():
                self.visit((*path, str(key)), inner)
        elif not isinstance(value, list) or self._is_terminal(value):
            self._found.values.append((path, value))
        else:
            for index, inner in enumerate(value):
                self.visit((*path, index), inner)

    def _is_terminal(self, value: list[Any]) -> bool:
        """Whether a list has neither mappings nor tensors in it."""
        if id(value) not in self._terminal:
            # a list that holds itself is asked once
            self._terminal[id(value)] = True
            self._terminal[id(value)] = not any(
                isinstance(item, Mapping)
                or self._is_tensor(item)
                or (isinstance(item, list) and not self._is_terminal(item))
                for item in value
            )
        return self._terminal[id(value)]
