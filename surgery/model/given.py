"""Models that the caller holds: a subject of one, which the model itself takes no notice of."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

from surgery.diagnostics import fail
from surgery.model.building import LAZY, is_opaque, meta_twin
from surgery.model.hooked import GONE, hooks_of, offloaded, unhook
from surgery.model.skeleton import Skeleton, copied
from surgery.model.tensors import identity, spec_of
from surgery.planning.context import Context
from surgery.tensors.expr import Held, TensorExpr
from surgery.tensors.subject import Entry, Origin, Subject

__all__ = ["subject_of_module"]


def subject_of_module(module: Any, name: str, context: Context) -> Subject:
    """The subject of a model: its structure copied, its tensors held.

    Hooks, modes, attributes and ``requires_grad`` are those of the model; gradients are left behind. Names of one
    tensor are tied, whether they hold one object or two of the same storage, offset, shape and strides. Quantised and
    sparse tensors, and those of classes of their own, are kept as they are: operations refuse them by name. A model on
    the meta device has no values; a `load` step gives it some. Weights that accelerate's hooks keep elsewhere are taken
    from there, and the hooks are left behind.

    Raises:
        SurgeryError: ``not-given``, it is no module; ``unfit-model``, it cannot be copied, or a buffer that is no part
            of its state dict is on the meta device.
    """
    if not isinstance(module, nn.Module):
        note = "`model=` takes a `torch.nn.Module`, `state_dict=` a mapping of tensors"
        raise fail("not-given", f"`{name}` is neither a model nor a state dict: {type(module).__name__}", notes=(note,))
    if isinstance(module, torch.jit.ScriptModule):
        raise fail("unfit-model", f"`{name}` is TorchScript, which cannot be edited", notes=("its `state_dict()` can",))
    original = Skeleton(module)
    twins: dict[Tensor, Tensor] = {}
    exprs: dict[Hashable, TensorExpr] = {}
    entries: dict[str, Entry] = {}
    kept = offloaded(original, context)
    for slot in original.slots():
        if slot.tensor not in twins:
            twins[slot.tensor] = _twin(slot.tensor)
        spec = spec_of(slot.tensor)
        expr = kept.get(slot.key) or exprs.setdefault(
            (identity(slot.tensor), slot.kind),
            Held(spec, slot.tensor if is_opaque(slot.tensor) else slot.tensor.detach()),
        )
        origin = Origin(context.named(name), slot.key)
        context.inventory[origin] = spec
        trained = slot.tensor.requires_grad if slot.kind == "parameter" else None
        device = str(slot.tensor.device)
        placed = None if device in ("cpu", "meta") else device
        entries[slot.key] = Entry(expr, (origin,), kind=slot.kind, requires_grad=trained, device=placed)
    hooks = {hook: GONE for part in original.modules.values() for hook in hooks_of(part)}
    copy_of = copied(module, {**twins, **_plain_tensors(original), **hooks})
    unhook(copy_of)
    if kept:
        what = f"{len(kept)} tensors of `{name}` are offloaded: they are read from where accelerate's hooks have them"
        context.remarks.append(what)
    return Subject(entries, Skeleton(copy_of))


def _twin(tensor: Tensor) -> Tensor:
    """What stands for a tensor in the skeleton; an unusual one by itself, as a copy."""
    if isinstance(tensor, LAZY):
        return copy.deepcopy(tensor)
    if not is_opaque(tensor):
        return meta_twin(tensor)
    bare = torch.empty(tensor.shape, dtype=torch.float32, device="meta")
    return nn.Parameter(bare, requires_grad=False) if isinstance(tensor, nn.Parameter) else bare


def _plain_tensors(original: Skeleton) -> dict[Tensor, Tensor]:
    """Copies of the tensors that are no part of the state dict; `deepcopy` refuses those with a history."""
    found: dict[Tensor, Tensor] = {}
    for path, module in original.modules.items():
        plain: dict[str, Any] = dict(vars(module))
        plain |= {name: module._buffers.get(name) for name in module._non_persistent_buffers_set}
        for name, value in plain.items():
            if not isinstance(value, Tensor):
                continue
            if value.is_meta:
                note = "build the model outside `torch.device('meta')`: nothing can give this tensor its values"
                where = f"{path}.{name}" if path else name
                raise fail(
                    "unfit-model", f"`{where}` is on the meta device, and no part of the state dict", notes=(note,)
                )
            found[value] = value.detach().clone().requires_grad_(value.requires_grad)
    return found
