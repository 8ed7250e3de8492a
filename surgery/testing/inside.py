"""A recipe whose files all lie in the directory of a case, wherever they would lie without."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePath

from surgery.recipe import Bound
from surgery.sinks.base import Output
from surgery.steps.device_map import DeviceMap
from surgery.steps.sequence import PlacedStep

__all__ = ["inside", "leads_out"]


def inside(bound: Bound, directory: Path) -> Bound:
    """The recipe with its outputs, and what it leaves on the disk, in `directory`.

    A path that leads out of it (``../weights/model.safetensors``) keeps its last part.
    """
    steps = tuple(_step(placed) for placed in bound.steps)
    return dataclasses.replace(bound, outputs=tuple(_output(o, directory) for o in bound.outputs), steps=steps)


def _output(output: Output, directory: Path) -> Output:
    return dataclasses.replace(output, path=_below(output.path), base=str(directory))


def _step(placed: PlacedStep) -> PlacedStep:
    step = placed.step
    if not isinstance(step, DeviceMap) or step.offload_dir is None:
        return placed
    return dataclasses.replace(placed, step=dataclasses.replace(step, offload_dir=_below(step.offload_dir)))


def _below(path: str) -> str:
    """A relative path that stays below where it begins; an address stays what it is, and is refused as ever."""
    if "://" in path or not leads_out(path):
        return path
    return (PurePath(path).name or "output") + "/" * path.endswith("/")


def leads_out(path: str) -> bool:
    """Whether a path may name something that is not below where it begins.

    >>> [leads_out(path) for path in ("a/b.pt", "a/../../b.pt", "/b.pt", "~/b.pt")]
    [False, True, True, True]
    """
    return PurePath(path).is_absolute() or ".." in PurePath(path).parts or path.startswith("~")
