"""Whether every tensor can be where it is placed: ties and layers stay together."""

from __future__ import annotations

from collections.abc import Mapping

from surgery.planning.context import Context
from surgery.tensors.subject import Subject

__all__ = ["check_placement"]


def check_placement(placed: Mapping[str, str], subject: Subject, context: Context) -> None:
    """Report what cannot be: one tensor, or the tensors of one layer, on several devices; weights of no module on disk.

    Args:
        placed: key -> device.
        subject: what is placed.
        context: where to report to.
    """
    _report_ties(subject, placed, context)
    if subject.skeleton is not None:
        _report_layers(placed, context)
    elif "disk" in placed.values():
        note = "hooks of modules bring in what is on the disk, and a bare state dict has none"
        context.report("needs-a-model", "`disk` is for the weights of a model", notes=(note,))


def _report_ties(subject: Subject, placed: Mapping[str, str], context: Context) -> None:
    for group in subject.ties():
        devices = {placed[key] for key in group if key in placed}
        if len(devices) > 1:
            shown = ", ".join(f"`{key}` on {placed[key]}" for key in group if key in placed)
            context.report("device", f"tied keys are one tensor, and cannot be on several devices: {shown}")


def _report_layers(placed: Mapping[str, str], context: Context) -> None:
    """A layer computes on one device."""
    first: dict[str, tuple[str, str]] = {}
    said: set[str] = set()
    for key, device in placed.items():
        layer = key.rpartition(".")[0]
        other, there = first.setdefault(layer, (key, device))
        if there != device and layer not in said:
            said.add(layer)
            message = f"`{other}` on {there} and `{key}` on {device} are tensors of one layer"
            context.report("device", message, notes=("a layer computes on one device",))
