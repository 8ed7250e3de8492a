"""Devices of a finished model: buffers follow their modules, and hooks carry inputs where there are several devices."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from surgery.model.skeleton import Skeleton
from surgery.tensors.subject import Subject

__all__ = ["module_devices", "place"]


def place(model: nn.Module, subject: Subject) -> nn.Module:
    """The model, whose parameters are on their devices already, made ready to run there.

    With several devices, accelerate's hooks move the inputs of each part to its device, and the outputs of the model to
    the device of its inputs.
    """
    devices = {key: entry.device or "cpu" for key, entry in subject.entries.items()}
    if set(devices.values()) <= {"cpu"}:
        return model
    parts = module_devices(model, devices)
    for path, module in Skeleton(model).modules.items():
        device = _device_at(path, parts)
        for name in module._non_persistent_buffers_set:
            buffer = module._buffers.get(name)
            if buffer is not None and device is not None:
                module._buffers[name] = buffer.to(device)
    if len(set(parts.values())) > 1:
        from accelerate.hooks import attach_align_device_hook_on_blocks

        # not `dispatch_model`: it would move the weights of parts on the CPU to and fro, and speaks of offloading
        attach_align_device_hook_on_blocks(
            model, execution_device={"": "cpu", **parts}, offload=dict.fromkeys(["", *parts], False)
        )
        model.hf_device_map = dict(parts)  # type: ignore[assignment]
    return model


def module_devices(model: nn.Module, devices: Mapping[str, str]) -> dict[str, str]:
    """The topmost modules all of whose tensors are on one device, with that device; ``""`` is the whole model."""
    below: dict[str, set[str]] = {}
    for key, device in devices.items():
        segments = key.split(".")[:-1]
        for depth in range(len(segments) + 1):
            below.setdefault(".".join(segments[:depth]), set()).add(device)
    found: dict[str, str] = {}
    for path in Skeleton(model).modules:
        inside = below.get(path, set())
        if len(inside) == 1 and _device_at(path, found) is None:
            found[path] = next(iter(inside))
    return found


def _device_at(path: str, parts: Mapping[str, str]) -> str | None:
    """The device of the part that the module at `path` belongs to."""
    segments = path.split(".") if path else []
    prefixes = [".".join(segments[:depth]) for depth in range(len(segments) + 1)]
    return next((parts[prefix] for prefix in prefixes if prefix in parts), None)
