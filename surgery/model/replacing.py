"""Replacing one layer: the new module, and the entries of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from surgery.diagnostics import fail
from surgery.lang.expression import Attribute, Expression, Name
from surgery.lang.rule import Rule
from surgery.model.building import Build
from surgery.model.carry import carry
from surgery.model.initial import ModuleProducer
from surgery.model.layers import Scope, build_layer, make_layer
from surgery.model.names import layer_class
from surgery.model.skeleton import Skeleton, all_tensors
from surgery.model.tensors import spec_of
from surgery.ops.arithmetic import torch_dtype
from surgery.planning.context import Context
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.expr import Initial, TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Touch

__all__ = ["NewLayer", "OldLayer", "extended", "new_layer"]


@dataclass(frozen=True, slots=True)
class OldLayer:
    """A layer that is replaced.

    Attributes:
        path: where it stands.
        module: the layer without its weights; None on a bare state dict.
        entries: its tensors, by their names below it.
        around: the entries of the nearest module above that has tensors: dtype and device come from there where the
            layer has none.
    """

    path: str
    module: nn.Module | None
    entries: Mapping[str, Entry]
    around: Mapping[str, Entry]

    @property
    def dtype(self) -> DType:
        """The floating dtype of its tensors; float32 where there is none."""
        for entries in (self.entries, self.around):
            for entry in entries.values():
                if entry.spec.dtype.floating:
                    return entry.spec.dtype
        return DTYPES["float32"]

    @property
    def device(self) -> str | None:
        """Where its tensors are placed."""
        return next((entry.device for entries in (self.entries, self.around) for entry in entries.values()), None)

    def trained(self, name: str) -> bool:
        """Whether the new parameter `name` is trained: as the old one of this name, else if any old one was."""
        if name in self.entries and self.entries[name].kind != "buffer":
            return self.entries[name].requires_grad is not False
        parameters = [entry for entry in self.entries.values() if entry.kind != "buffer"]
        return not parameters or any(entry.requires_grad is not False for entry in parameters)


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A new layer: the module without its weights, its entries by their names below it, and the old keys that go on."""

    module: nn.Module
    entries: Mapping[str, Entry]
    kept: frozenset[str]


def new_layer(rule: Rule, old: OldLayer, context: Context, *, step: str = "replace_layer") -> NewLayer:
    """The layer that the right side of `rule` describes, in the place of `old`; `step` is what makes it.

    Raises:
        SurgeryError: the expression names no layer, its arguments are wrong, or ``with`` does not fit.
    """
    expression: Expression = rule.right.expression
    scope = Scope(old.module, context.allow, rule.span_of)
    current = Build()
    module = build_layer(expression, scope, current)
    owned = _old_names(old)
    if old.module is not None:
        _settle(module, old.module, old.dtype)
        _no_copies_of_old(expression, module, current, owned, rule)
    slots = list(Skeleton(module).slots())
    producer = ModuleProducer(
        make=lambda: make_layer(expression, scope),
        text=str(expression),
        seed=context.seed,
        key=old.path,
        dtypes={slot.key: old.dtype for slot in slots if slot.tensor.dtype == torch.float32},
    )
    fresh: dict[int, TensorExpr] = {}
    new: dict[str, Entry] = {}
    for slot in slots:
        if id(slot.tensor) in owned:
            new[slot.key] = _moved(old, owned[id(slot.tensor)], slot.key, rule)
            continue
        spec = Spec(tuple(slot.tensor.shape), producer.dtypes.get(slot.key, spec_of(slot.tensor).dtype))
        expr = fresh.setdefault(id(slot.tensor), Initial(spec, producer, slot.key))
        touch = Touch(step, f"{old.path}.{slot.key}: new, of {producer.text}", rule.span)
        trained = old.trained(slot.key) if slot.kind == "parameter" and slot.tensor.requires_grad else None
        if slot.kind == "parameter" and not slot.tensor.requires_grad:
            trained = False
        new[slot.key] = Entry(expr, (), (touch,), slot.kind, trained, old.device, _replaced(old, slot.name))
    kept = {owned[id(slot.tensor)] for slot in slots if id(slot.tensor) in owned}
    if rule.right.carry is not None:
        fitted = carry(rule, old.path, old.entries, new)
        new, kept = {**new, **fitted.entries}, kept | fitted.used
    return NewLayer(module, new, frozenset(kept))


def _replaced(old: OldLayer, name: str) -> tuple[Origin, ...]:
    """The source tensors of the old layer, those of the name first."""
    entries = sorted(old.entries.items(), key=lambda item: item[0].rpartition(".")[2] != name)
    return tuple(origin for _, entry in entries for origin in entry.origins or entry.replaces)


def extended(module: nn.Module) -> type[nn.Module] | None:
    """The layer of torch that the module's class extends by a `forward` of its own (timm's ``Conv2dSame``), if any."""
    for base in type(module).__mro__:
        if layer_class(f"torch.nn.{base.__name__}") is base and not issubclass(base, nn.Sequential):
            return base if type(module).forward is not base.forward else None
    return None


def _old_names(old: OldLayer) -> dict[int, str]:
    """The tensors of the old layer, by identity, with their names below it."""
    if old.module is None:
        return {}
    return {id(slot.tensor): slot.key for slot in reversed(list(Skeleton(old.module).slots()))}


def _moved(old: OldLayer, name: str, new_name: str, rule: Rule) -> Entry:
    """The entry of a tensor that goes on, inside what wraps the old layer."""
    if name == new_name:
        return old.entries[name]
    action = f"{old.path}.{name} -> {old.path}.{new_name}"
    return old.entries[name].touched(Touch("replace_layer", action, rule.span))


def _settle(module: nn.Module, old: nn.Module, dtype: DType) -> None:
    """Give the new modules the old one's training mode, and their real buffers its dtype."""
    inside = {id(part) for part in old.modules()}
    for part in module.modules():
        if id(part) in inside:
            continue
        part.training = old.training
        for name in part._non_persistent_buffers_set:
            buffer = part._buffers.get(name)
            if buffer is not None and buffer.dtype == torch.float32:
                part._buffers[name] = buffer.to(torch_dtype(dtype.name))


def _no_copies_of_old(
    expression: Expression, module: nn.Module, current: Build, owned: Mapping[int, str], rule: Rule
) -> None:
    """Refuse layers that copy `old` (``TransformerEncoder(old, 6)``): a copy has no values of its own to begin with."""
    if not _wraps_old(expression):
        return
    if any(tensor.is_meta and id(tensor) not in owned and tensor not in current.made for tensor in all_tensors(module)):
        note = "a layer that wraps `old` holds `old` itself"
        raise fail("layer-arguments", f"`{expression}` makes copies of `old`", rule.span_of(expression.at), (note,))


def _wraps_old(expression: Expression) -> bool:
    if isinstance(expression, Attribute):
        return False
    return expression == Name("old") or any(map(_wraps_old, expression.children()))
