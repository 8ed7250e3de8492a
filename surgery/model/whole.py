"""Modules that stay whole: on one device, and off the disk in one piece."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from torch import nn

from surgery.diagnostics import Diagnostic, SurgeryError, fail
from surgery.model.skeleton import Skeleton
from surgery.suggest import did_you_mean

__all__ = ["check_classes", "check_whole", "is_whole"]

#: classes whose `forward` takes the weights of layers inside without calling them, so that no hook of theirs runs
_REACHING_IN = (
    "MultiheadAttention",
    "TransformerEncoderLayer",
    "ShiftedWindowAttention",
)


def is_whole(module: nn.Module, names: Collection[str]) -> bool:
    """Whether a module is of one of these classes, or of one derived from them."""
    return any(base.__name__ in names for base in type(module).__mro__)


def check_classes(module: nn.Module, names: Collection[str]) -> None:
    """Whether there are modules of all these classes.

    Raises:
        SurgeryError: code ``device``; of one there are none.
    """
    known = {base.__name__ for part in module.modules() for base in type(part).__mro__ if issubclass(base, nn.Module)}
    for name in names:
        if name not in known:
            own = {type(part).__name__ for part in module.modules()}
            near = did_you_mean(name, known) or f"there are {', '.join(sorted(own))}"
            raise fail("device", f"`no_split`: there is no `{name}` in the model", notes=(near,))


def check_whole(skeleton: Skeleton, placed: Mapping[str, str], names: Collection[str]) -> tuple[str, ...]:
    """The names of the classes whose modules come off the disk in one piece.

    Args:
        skeleton: the model.
        placed: key -> device.
        names: classes whose modules have to be on one device. Those of torch that take the weights of layers inside
            them without calling these have to be on the disk as a whole, or not at all.

    Raises:
        SurgeryError: code ``device``; a module would be split.
    """
    check_classes(skeleton.module, names)
    found: list[Diagnostic] = []
    for path, module, devices in _modules_with_devices(skeleton, placed):
        split = is_whole(module, names) or (is_whole(module, _REACHING_IN) and "disk" in devices)
        if split and len(set(devices)) > 1:
            message = f"`{path}`, a {type(module).__name__}, would be on {' and '.join(devices)}"
            found += fail("device", message, notes=("it stays whole: one rule for all of it",)).diagnostics
    if found:
        raise SurgeryError(found)
    return (*names, *_REACHING_IN)


def _modules_with_devices(
    skeleton: Skeleton, placed: Mapping[str, str]
) -> Iterator[tuple[str, nn.Module, tuple[str, ...]]]:
    """Every module with the devices of its tensors, those further inside among them."""
    below: dict[str, dict[str, None]] = {}
    for key, device in placed.items():
        segments = key.split(".")[:-1]
        for depth in range(len(segments) + 1):
            below.setdefault(".".join(segments[:depth]), {})[device] = None
    for path, module in skeleton.modules.items():
        yield path, module, tuple(below.get(path, ()))
