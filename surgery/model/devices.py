"""The devices of this machine, and tensors that are to go where there is none."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.tensors.device import numbered
from surgery.tensors.subject import Entry

__all__ = ["absent", "devices_here", "refuse_absent", "there_are"]


def devices_here() -> tuple[str, ...]:
    """The devices of this machine, as torch sees them. ``meta`` is everywhere."""
    found = ["cpu"]
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is not None:
        found += [f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count())]
    return (*found, "meta")


def there_are(devices: tuple[str, ...]) -> str:
    """``there are cpu, meta``."""
    return f"there {'are' if len(devices) > 1 else 'is'} {', '.join(devices)}"


def absent(device: str, devices: tuple[str, ...]) -> bool:
    """Whether a device is none of these; ``disk`` is everywhere."""
    return device != "disk" and numbered(device) not in devices


def refuse_absent(entries: Iterable[Entry]) -> None:
    """Whether everything can go where it is placed.

    Raises:
        SurgeryError: code ``device``; this machine lacks some of the devices.
    """
    wanted: dict[str, Entry] = {}
    for entry in entries:
        if entry.device is not None:
            wanted.setdefault(entry.device, entry)
    if set(wanted) <= {"cpu", "meta", "disk"}:
        return
    here = devices_here()
    found: list[Diagnostic] = []
    for device, entry in wanted.items():
        if absent(device, here):
            span = next((touch.span for touch in reversed(entry.trail) if touch.step == "device_map"), None)
            notes = (there_are(here), f"`{device} or cpu` takes the CPU where there is no other")
            if span is None:
                notes = (there_are(here), "`map_location: cpu` takes the CPU")
            found.append(Diagnostic("device", f"there is no {device} here", span, notes))
    if found:
        raise SurgeryError(found)
