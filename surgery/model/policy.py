"""Policies of placement, as accelerate decides them: which module goes where, given what each device can hold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from surgery.diagnostics import fail
from surgery.model.whole import REACHING_IN, check_classes, declared_whole, is_whole
from surgery.ops.arithmetic import torch_dtype
from surgery.tensors.device import is_device, numbered
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import parse_bytes
from surgery.tensors.subject import Subject

__all__ = ["spread"]


def spread(
    subject: Subject, policy: str, *, max_memory: Mapping[str, Any] | None, no_split: tuple[str, ...], disk: bool
) -> dict[str, str]:
    """The device of each key. ``auto`` and ``balanced`` fill GPUs evenly, ``sequential`` one after the other.

    Args:
        subject: a model.
        policy: ``auto``, ``balanced`` or ``sequential``. What fits on no GPU goes to the CPU, then to the disk.
        max_memory: device -> bytes, or text such as ``10GB``; what is free, if it is left out. With it, the devices
            need not be there.
        no_split: the names of classes whose modules stay whole, beside those that the model itself names.
        disk: whether what fits nowhere may go to the disk.

    Raises:
        SurgeryError: code ``device``; a class does not occur, a size makes no sense, or not everything fits.
    """
    from accelerate.utils import get_balanced_memory, get_max_memory, infer_auto_device_map

    assert subject.skeleton is not None
    model = subject.skeleton.module
    check_classes(model, no_split)
    whole = (*no_split, *declared_whole(model), *REACHING_IN)
    classes = sorted({type(part).__name__ for part in model.modules() if is_whole(part, whole)})
    dtypes = {key: torch_dtype(e.spec.dtype.name) for key, e in subject.entries.items() if e.spec.dtype.name in DTYPES}
    options: dict[str, Any] = {"no_split_module_classes": classes, "special_dtypes": dtypes}
    wanted = _memory(max_memory)
    with _quiet():
        memory = get_max_memory(None if wanted is None else {place: size for place, (_, size) in wanted.items()})
        if policy != "sequential":
            memory = get_balanced_memory(model, max_memory=memory, **options)
        found = infer_auto_device_map(model, max_memory=memory, offload_buffers=True, **options)
    names = {place: name for place, (name, _) in (wanted or {}).items()}
    devices = {path: names.get(device) or _name(device) for path, device in found.items()}
    placed = {key: _device_of(key, devices) for key in subject.entries}
    left = [key for key, device in placed.items() if device == "disk"]
    if left and not disk:
        message = f"{len(left)} of {len(placed)} tensors do not fit, the first of them `{left[0]}`"
        raise fail("device", message, notes=("more `max_memory`; or an `offload_dir`: then they go to the disk",))
    return placed


def _memory(given: Mapping[str, Any] | None) -> dict[int | str, tuple[str, int]] | None:
    """What accelerate calls a device, where GPUs have numbers -> its name, and how many bytes it may hold."""
    if given is None:
        return None
    found: dict[int | str, tuple[str, int]] = {}
    for word, text in given.items():
        device = _name(int(word)) if word.isdigit() else numbered(word)
        if not is_device(device) or device == "meta":
            raise fail("device", f"`max_memory`: `{word}` is no device", notes=("such as `cpu`, `cuda:0`, `mps`",))
        size = parse_bytes(text)
        if size is None or size < 0:
            message = f"`max_memory`: `{text}` is no size"
            raise fail("device", message, notes=("bytes, or text such as `10GB` or `10GiB`",))
        kind, _, index = device.partition(":")
        found[int(index) if index and kind != "mps" else kind] = (device, size)
    return found


def _name(device: Any) -> str:
    if not isinstance(device, int):
        return numbered(str(device))
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return f"{accelerator.type if accelerator is not None else 'cuda'}:{device}"


def _device_of(key: str, devices: Mapping[str, str]) -> str:
    """The device of a key: that of the longest path in the map that leads to it.

    A module that is taken apart may have a buffer of its own, which accelerate's map leaves out: it goes where the
    first of the module's parts goes.
    """
    segments = key.split(".")
    prefixes = [".".join(segments[:depth]) for depth in range(len(segments), -1, -1)]
    for prefix in prefixes:
        if prefix in devices:
            return devices[prefix]
        inside = next((device for path, device in devices.items() if path.startswith(f"{prefix}.")), None)
        if inside is not None:
            return inside
    return next(iter(devices.values()))


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
