"""What the state dict of a model has beyond its parameters and buffers: extra state, packed weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from surgery.model.skeleton import Skeleton

__all__ = ["beyond"]


def beyond(skeleton: Skeleton) -> list[str]:
    """The keys of ``model.state_dict()`` that no parameter or persistent buffer holds.

    A module adds such keys by a method of its own, `get_extra_state` or `_save_to_state_dict`. Hooks that rename keys
    add none.
    """
    own = {slot.key for slot in skeleton.slots()}
    found: dict[str, None] = {}
    for path, module in skeleton.modules.items():
        prefix = f"{path}." if path else ""
        cls = type(module)
        if cls._save_to_state_dict is not nn.Module._save_to_state_dict:
            state: dict[str, Any] = {}
            module._save_to_state_dict(state, prefix, True)
            found |= dict.fromkeys(state)
        elif cls.get_extra_state is not nn.Module.get_extra_state:
            found[f"{prefix}_extra_state"] = None
    return [key for key in found if key not in own]
