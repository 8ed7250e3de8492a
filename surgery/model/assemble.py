"""Assembling: a skeleton and tensors become a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from surgery.diagnostics import fail
from surgery.formats.contents import Blob, Placeholder, Storage
from surgery.formats.following import following
from surgery.model.building import LAZY, is_opaque
from surgery.model.placement import place
from surgery.model.skeleton import Skeleton, copied
from surgery.ops.arithmetic import torch_dtype
from surgery.tensors.expr import TensorExpr
from surgery.tensors.subject import Entry, Subject
from surgery.wording import listed

__all__ = ["assemble", "assemble_hollow"]


def assemble(
    subject: Subject,
    tensors: Mapping[str, Tensor],
    weights: Mapping[str, Tensor] | None = None,
    extra: Mapping[str, object] | None = None,
) -> nn.Module:
    """The model of a subject, with its tensors in their places.

    Tensors are not copied, unless they go to another device; what is tied becomes one parameter. Non-persistent buffers
    and plain tensors are copies of the skeleton's, so that models assembled from one plan share nothing.

    Args:
        subject: it has a skeleton, and an entry for each key of the skeleton.
        tensors: key -> tensor, for every key. Tied keys may hold one tensor or equal ones. Of one on the disk, shape
            and dtype are all that is needed of it.
        weights: key -> tensor, for those on the disk, to be asked whenever a layer needs them.
        extra: key -> value, for each ``_extra_state`` that a checkpoint held; where it is left out, they hold plain
            values and no tensors.

    Raises:
        SurgeryError: code ``no-values``; a tensor is on the meta device, and no ``device_map`` put it there.
            ``unsupported-checkpoint``; there is more in an ``_extra_state`` than plain values.
    """
    model = _filled(subject, _parts(subject, tensors))
    _check_values(model, subject)
    _set_extra_state(model, _plain_extra(subject) if extra is None else extra)
    return place(model, subject, weights)


def assemble_hollow(subject: Subject) -> tuple[nn.Module, Mapping[int, TensorExpr]]:
    """The same with parameters and buffers on the meta device: the id of each, with how its values are made.

    Where they go, if not to the CPU, is for whoever brings the values.
    """
    assert subject.skeleton is not None, "only a model can be assembled"
    entries = {key: dataclasses.replace(entry, device=None) for key, entry in subject.entries.items()}
    subject = subject.replace(entries=entries)
    hollow = {
        key: torch.empty(entry.spec.shape, dtype=torch_dtype(entry.spec.dtype.name), device="meta")
        for key, entry in entries.items()
    }
    made = _parts(subject, hollow)
    model = _filled(subject, made)
    _set_extra_state(model, _plain_extra(subject))
    return model, {id(made[key]): entries[key].expr for key in made}


def _filled(subject: Subject, made: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the skeleton with these parameters and buffers."""
    assert subject.skeleton is not None, "only a model can be assembled"
    replaced = {slot.tensor: made[slot.key] for slot in subject.skeleton.slots()}
    model = copied(subject.skeleton.module, {**replaced, **_real_buffers(subject.skeleton)})
    # keys that share a skeleton's tensor may hold tensors of their own by now, so each place is filled by itself
    for slot in Skeleton(model).slots():
        places: dict[str, Any] = slot.module._parameters if slot.kind == "parameter" else slot.module._buffers
        places[slot.name] = made[slot.key]
    return model


def _parts(subject: Subject, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters and buffers by key; one object for one expression."""
    assert subject.skeleton is not None, "only a model has places for them"
    keys = [slot.key for slot in subject.skeleton.slots()]
    lacking = [key for key in keys if key not in subject.entries or key not in tensors]
    assert not lacking, f"no tensors for {lacking[:5]}"
    shared: dict[Hashable, Tensor] = {}
    made: dict[str, Tensor] = {}
    for key in keys:
        entry = subject.entries[key]
        name = (id(entry.expr), entry.kind)
        if name not in shared:
            shared[name] = _part(entry, tensors[key])
        made[key] = shared[name]
    return made


def _part(entry: Entry, tensor: Tensor) -> Tensor:
    """One parameter or buffer, on its device."""
    wanted = "meta" if entry.device == "disk" else entry.device
    if wanted is not None and str(tensor.device) != wanted:
        tensor = tensor.to(wanted)
    if isinstance(tensor, LAZY):
        return _lazy(entry, tensor)
    if entry.kind != "parameter":
        return tensor if is_opaque(tensor) else tensor.detach()
    trainable = tensor.is_floating_point() or tensor.is_complex()
    requires_grad = entry.requires_grad is not False and trainable
    if isinstance(tensor, nn.Parameter) and is_opaque(tensor):
        return tensor.requires_grad_(requires_grad)
    return nn.Parameter(tensor.detach(), requires_grad=requires_grad)


def _lazy(entry: Entry, tensor: Tensor) -> Tensor:
    """A parameter that gets its shape from the first input."""
    wanted = entry.requires_grad is not False
    if entry.kind != "parameter" or tensor.requires_grad == wanted:
        return tensor
    make: Any = nn.UninitializedParameter
    return cast(Tensor, make(requires_grad=wanted, device=tensor.device, dtype=tensor.dtype))


def _real_buffers(skeleton: Skeleton) -> dict[Tensor, Tensor]:
    """Non-persistent buffers are copied as detached tensors: `deepcopy` refuses those with a history."""
    found: dict[Tensor, Tensor] = {}
    for module in skeleton.modules.values():
        for name in module._non_persistent_buffers_set:
            buffer = module._buffers.get(name)
            if buffer is not None:
                found[buffer] = buffer.detach().clone()
    return found


def _check_values(model: nn.Module, subject: Subject) -> None:
    """No tensor of a finished model is on meta, unless it was placed there."""
    placed = {key for key, entry in subject.entries.items() if entry.device in ("meta", "disk")}
    bare = [slot.key for slot in Skeleton(model).slots() if slot.tensor.is_meta and slot.key not in placed]
    for path, module in Skeleton(model).modules.items():
        plain = {name: module._buffers[name] for name in module._non_persistent_buffers_set if name in module._buffers}
        plain |= {name: value for name, value in vars(module).items() if isinstance(value, torch.Tensor)}
        if not placed:
            bare += [
                f"{path}.{name}".lstrip(".") for name, value in plain.items() if value is not None and value.is_meta
            ]
    if bare:
        note = "a model built on the meta device gets its values from a `load` step"
        raise fail("no-values", f"{listed(bare, 5)}: on the meta device, so without values", notes=(note,))


def _plain_extra(subject: Subject) -> dict[str, object]:
    """The ``_extra_state`` that a checkpoint held for modules, where it is plain values."""
    rest = following(subject)
    extra = {k: v for k, v in (rest.extra if rest else {}).items() if k.rpartition(".")[2] == "_extra_state"}
    for key, value in extra.items():
        if not _is_plain(value):
            raise fail("unsupported-checkpoint", f"`{key}` holds more than plain values, which are not read for this")
    return extra


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping | list | tuple):
        return all(map(_is_plain, value.values() if isinstance(value, Mapping) else value))
    return not isinstance(value, TensorExpr | Placeholder | Storage | Blob)


def _set_extra_state(model: nn.Module, extra: Mapping[str, object]) -> None:
    """Give modules the ``_extra_state`` that a checkpoint held for them."""
    modules = Skeleton(model).modules
    for key, value in extra.items():
        module = modules.get(key.rpartition(".")[0])
        if module is not None:
            module.set_extra_state(value)
