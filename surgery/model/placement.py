"""Devices of a finished model: buffers follow their modules, and hooks carry inputs where there are several devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from surgery.model.offload import bring_in
from surgery.model.parts import device_at, module_devices
from surgery.model.skeleton import Skeleton
from surgery.tensors.subject import Subject

__all__ = ["computing", "place"]


def place(model: nn.Module, subject: Subject, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
    """The model, whose parameters are on their devices already, made ready to run there.

    With several devices, hooks move the inputs of each part to its device, and the outputs of the model to the device
    of its inputs. (accelerate's `dispatch_model` would do too, but it makes new parameters, and moves the weights of
    parts on the CPU to and fro.) Hooks of accelerate bring in what is on the disk, to the first device that is an
    accelerator.

    Args:
        model: what is placed, with tensors on the meta device for those on the disk.
        subject: it says where.
        weights: key -> tensor, for those on the disk, to be asked each time.
    """
    _unplace(model)
    devices = {key: entry.device or "cpu" for key, entry in subject.entries.items()}
    if set(devices.values()) <= {"cpu"}:
        return model
    used, modules = module_devices(model, computing(devices)), Skeleton(model).modules
    for path, module in modules.items():
        device = device_at(path, used)
        for name in module._non_persistent_buffers_set:
            buffer = module._buffers.get(name)
            if buffer is not None and device is not None:
                module._buffers[name] = buffer.to(device)
    if len(set(used.values())) > 1:
        for path, device in used.items():
            modules[path].register_forward_pre_hook(_ToDevice(device), with_kwargs=True)
        model.register_forward_hook(_back_to_inputs, with_kwargs=True)
    on_disk = [key for key, device in devices.items() if device == "disk"]
    if on_disk:
        assert weights is not None, "what is on the disk can be brought in"
        bring_in(model, on_disk, weights, subject.offload.whole, _main(devices))
    return model


def computing(devices: Mapping[str, str]) -> dict[str, str]:
    """Key -> the device where the tensor is when it is used: what is on the disk is brought to the main one."""
    main = _main(devices)
    return {key: main if device == "disk" else device for key, device in devices.items()}


def _main(devices: Mapping[str, str]) -> str:
    """The first device that is an accelerator; else the CPU."""
    return next((device for device in devices.values() if device not in ("cpu", "disk", "meta")), "cpu")


def _unplace(model: nn.Module) -> None:
    """Take the hooks of an earlier placement away."""
    for module in Skeleton(model).modules.values():
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for number in [n for n, hook in hooks.items() if isinstance(hook, _ToDevice) or hook is _back_to_inputs]:
                del hooks[number]
                module._forward_pre_hooks_with_kwargs.pop(number, None)
                module._forward_hooks_with_kwargs.pop(number, None)


@dataclass(frozen=True, slots=True)
class _ToDevice:
    """A hook before `forward`: inputs move to the device of the module."""

    device: str

    def __call__(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return _moved(args, self.device), _moved(kwargs, self.device)


def _back_to_inputs(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
    """A hook after `forward`: outputs move to the device of the first tensor among the inputs."""
    tensor = next(_tensors((args, kwargs)), None)
    return output if tensor is None else _moved(output, str(tensor.device))


def _moved(value: Any, device: str) -> Any:
    """The value with the tensors in it on `device`; containers other than lists, tuples and dicts stay as they are."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        items = {key: _moved(item, device) for key, item in value.items()}
        return type(value)(items) if type(value) is not dict else items
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_moved(item, device) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, device) for item in value)
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
