"""Where a value stands in a nested state dict, and what it is called in the flat one that is saved."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["TreePath", "name_of"]

#: the keys of mappings, as text, and the indices of lists on the way to a value
TreePath: TypeAlias = tuple[str | int, ...]


def name_of(path: TreePath) -> str:
    """The name under which the value at a path is saved.

    >>> name_of(("optimizer", "param_groups", 0, "lr"))
    'optimizer.param_groups.0.lr'
    """
    return ".".join(map(str, path))
