"""Flat optimizers: ``state.fc.weight.exp_avg``, ``param_groups.fc.weight.lr``, and no numbers.

What ``torch.distributed.checkpoint.state_dict`` makes with ``flatten_optimizer_state_dict=True``, as torchtitan does:
each parameter has its options for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["flat_optimizer", "is_flat", "nested_optimizer"]

_PARTS = ("state", "param_groups")


def is_flat(node: Any) -> bool:
    """Whether the node is the flat state dict of an optimizer."""
    if not isinstance(node, Mapping) or not node:
        return False
    parts = {key.partition(".")[0] if key.count(".") > 1 else "" for key in node if isinstance(key, str)}
    return "param_groups" in parts and parts <= set(_PARTS) and all(isinstance(key, str) for key in node)


def nested_optimizer(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a mapping of states, and a group for each set of options, both by name.

    >>> nested_optimizer({"state.a.w.step": 3, "param_groups.a.w.lr": 0.1, "param_groups.b.lr": 0.1})
    {'state': {'a.w': {'step': 3}}, 'param_groups': [{'lr': 0.1, 'params': ['a.w', 'b']}]}
    """
    found: dict[str, dict[str, dict[str, Any]]] = {part: {} for part in _PARTS}
    for key, value in flat.items():
        part, _, rest = key.partition(".")
        name, _, word = rest.rpartition(".")
        found[part].setdefault(name, {})[word] = value
    groups: list[dict[str, Any]] = []
    for name, options in found["param_groups"].items():
        group = next((group for group in groups if {**group, "params": None} == {**options, "params": None}), None)
        if group is None:
            groups.append({**options, "params": [name]})
        else:
            group["params"].append(name)
    return {"state": found["state"], "param_groups": groups}


def flat_optimizer(nested: Mapping[str, Any]) -> dict[str, Any]:
    """The other way."""
    flat = {f"state.{name}.{word}": value for name, state in nested["state"].items() for word, value in state.items()}
    for group in nested["param_groups"]:
        options = [(word, value) for word, value in group.items() if word != "params"]
        flat |= {f"param_groups.{name}.{word}": value for name in group["params"] for word, value in options}
    return flat
