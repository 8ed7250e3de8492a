"""Modules that stay whole: on one device, and off the disk in one piece."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import nn

from surgery.diagnostics import Diagnostic, SurgeryError, fail
from surgery.model.parts import devices_inside
from surgery.model.reaching import reaching_in, too_late
from surgery.model.skeleton import Skeleton
from surgery.suggest import did_you_mean

__all__ = ["REACHING_IN", "check_classes", "check_whole", "declared_whole", "is_whole"]

#: classes whose `forward` takes the weights of layers inside without calling them, so that no hook of theirs runs
REACHING_IN = (
    "MultiheadAttention",
    "TransformerEncoderLayer",
    "ShiftedWindowAttention",
)


def is_whole(module: nn.Module, names: Collection[str]) -> bool:
    """Whether a module is of one of these classes, or of one derived from them."""
    return any(base.__name__ in names for base in type(module).__mro__)


def declared_whole(module: nn.Module) -> tuple[str, ...]:
    """The classes that a model itself says are not to be split, as those of transformers do."""
    declared = [getattr(part, "_no_split_modules", None) or () for part in module.modules()]
    return tuple(sorted({name for names in declared for name in ([names] if isinstance(names, str) else names)}))


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
        names: classes whose modules have to be on one device, beside those of torch that take the weights of layers
            inside them without calling these.

    Raises:
        SurgeryError: code ``device``; a module would be split, or come off the disk too late.
    """
    check_classes(skeleton.module, names)
    found: list[Diagnostic] = []
    if "disk" in placed.values():
        names = (*names, *sorted(reaching_in(skeleton, placed)))
        found += too_late(skeleton, placed)
    inside = devices_inside(placed)
    for path, module in skeleton.modules.items():
        devices = inside.get(path, ())
        if len(devices) > 1 and is_whole(module, (*names, *REACHING_IN)):
            message = f"`{path}`, a {type(module).__name__}, would be on {' and '.join(devices)}"
            found.append(Diagnostic("device", message, notes=("it stays whole: one rule for all of it",)))
    if found:
        raise SurgeryError(found)
    return (*names, *REACHING_IN)
