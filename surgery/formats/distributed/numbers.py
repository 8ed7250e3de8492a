"""The numbers by which an optimizer knows its parameters, which a flat state dict holds as text."""

from __future__ import annotations

from typing import Any

from surgery.formats.nodes import is_optimizer

__all__ = ["restore_numbers"]


def restore_numbers(tree: dict[str, Any]) -> None:
    """Make the keys of the state of each optimizer in `tree` numbers again, where its groups have numbers.

    >>> tree = {"state": {"0": {"step": 3}}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    >>> restore_numbers(tree)
    >>> tree["state"]
    {0: {'step': 3}}
    """
    waiting: list[Any] = [tree]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict) or id(node) in seen:
            continue
        seen.add(id(node))
        if not is_optimizer(node):
            waiting.extend(node.values())
        elif isinstance(node["state"], dict):
            known = {str(number): number for number in _numbers(node["param_groups"])}
            node["state"] = {known.get(key, key): value for key, value in node["state"].items()}


def _numbers(groups: Any) -> list[int]:
    if not isinstance(groups, list):
        return []
    lists = [group.get("params") for group in groups if isinstance(group, dict)]
    return [number for numbers in lists if isinstance(numbers, list) for number in numbers if type(number) is int]
