"""The parts of a model that are on one device each."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from surgery.model.skeleton import Skeleton
from surgery.subtrees import prefixes

__all__ = ["device_at", "devices_inside", "module_devices"]


def devices_inside(devices: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Path of a module -> the devices of its tensors, those further inside among them; ``""`` is the whole model.

    >>> devices_inside({"a.0.weight": "cpu", "a.1.weight": "cuda:0"})
    {'': ('cpu', 'cuda:0'), 'a': ('cpu', 'cuda:0'), 'a.0': ('cpu',), 'a.1': ('cuda:0',)}
    """
    found: dict[str, dict[str, None]] = {}
    for key, device in devices.items():
        for path in ("", *prefixes(key)):
            found.setdefault(path, {})[device] = None
    return {path: tuple(inside) for path, inside in found.items()}


def module_devices(model: nn.Module, devices: Mapping[str, str]) -> dict[str, str]:
    """The topmost modules all of whose tensors are on one device, with that device."""
    inside = devices_inside(devices)
    found: dict[str, str] = {}
    for path in Skeleton(model).modules:
        if len(inside.get(path, ())) == 1 and device_at(path, found) is None:
            (found[path],) = inside[path]
    return found


def device_at(path: str, parts: Mapping[str, str]) -> str | None:
    """The device of the part that the module at `path` belongs to."""
    above = ["", *prefixes(path), path]
    return next((parts[prefix] for prefix in above if prefix in parts), None)
