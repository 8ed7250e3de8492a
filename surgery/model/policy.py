"""Policies of placement, as accelerate decides them: which module goes where, given what each device can hold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from surgery.diagnostics import fail
from surgery.ops.arithmetic import torch_dtype
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES
from surgery.tensors.subject import Subject

__all__ = ["spread"]


def spread(
    subject: Subject, policy: str, *, max_memory: Mapping[str, Any] | None, no_split: tuple[str, ...]
) -> dict[str, str]:
    """The device of each key. ``auto`` and ``balanced`` fill GPUs evenly, ``sequential`` one after the other.

    Args:
        subject: a model.
        policy: ``auto``, ``balanced`` or ``sequential``. What fits on no GPU goes to the CPU.
        max_memory: device -> bytes, or text such as ``10GB``; what is free, if it is left out.
        no_split: the names of classes whose modules stay whole.

    Raises:
        SurgeryError: code ``device``; a class does not occur, a size makes no sense, or not everything fits.
    """
    from accelerate.utils import get_balanced_memory, get_max_memory, infer_auto_device_map

    assert subject.skeleton is not None
    model = subject.skeleton.module
    _check_classes(model, no_split)
    dtypes = {key: torch_dtype(e.spec.dtype.name) for key, e in subject.entries.items() if e.spec.dtype.name in DTYPES}
    options: dict[str, Any] = {"no_split_module_classes": list(no_split), "special_dtypes": dtypes}
    with _quiet():
        memory = get_max_memory(_memory(max_memory))
        if policy != "sequential":
            memory = get_balanced_memory(model, max_memory=memory, **options)
        found = infer_auto_device_map(model, max_memory=memory, **options)
    devices = {path: _name(device) for path, device in found.items()}
    placed = {key: _device_of(key, devices) for key in subject.entries}
    left = [key for key, device in placed.items() if device == "disk"]
    if left:
        message = f"{len(left)} of {len(placed)} tensors do not fit, the first of them `{left[0]}`"
        raise fail("device", message, notes=("more `max_memory`; offloading to disk is not available yet",))
    return placed


def _check_classes(model: nn.Module, no_split: tuple[str, ...]) -> None:
    known = {type(module).__name__ for module in model.modules()}
    for name in no_split:
        if name not in known:
            near = did_you_mean(name, known) or f"there are {', '.join(sorted(known))}"
            raise fail("device", f"`no_split`: there is no `{name}` in the model", notes=(near,))


def _memory(given: Mapping[str, Any] | None) -> dict[int | str, int] | None:
    """As accelerate wants it: GPUs by number."""
    from accelerate.utils import convert_file_size_to_int

    if given is None:
        return None
    found: dict[int | str, int] = {}
    for device, size in given.items():
        kind, _, index = device.partition(":")
        place = int(index) if index.isdigit() else int(device) if device.isdigit() else kind
        try:
            found[place] = convert_file_size_to_int(size)
        except (ValueError, AttributeError) as error:
            message = f"`max_memory`: `{size}` is no size"
            raise fail("device", message, notes=("bytes, or text such as `10GB` or `10GiB`",), cause=error) from error
    return found


def _name(device: Any) -> str:
    if not isinstance(device, int):
        return str(device)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return f"{accelerator.type if accelerator is not None else 'cuda'}:{device}"


def _device_of(key: str, devices: Mapping[str, str]) -> str:
    """The device of a key: that of the longest path in the map that leads to it."""
    segments = key.split(".")
    prefixes = [".".join(segments[:depth]) for depth in range(len(segments), -1, -1)]
    return next(devices[prefix] for prefix in prefixes if prefix in devices)


@contextmanager
def _quiet() -> Iterator[None]:
    """accelerate warns of devices that are not there; here that is an error of its own."""
    logger = logging.getLogger("accelerate")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
