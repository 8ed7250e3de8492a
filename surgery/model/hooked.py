"""Models that accelerate offloaded: their weights are on the meta device, and hooks know where the values are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from surgery.diagnostics import fail
from surgery.formats import read
from surgery.model.skeleton import Skeleton
from surgery.model.tensors import identity, spec_of
from surgery.planning.context import Context
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Held, Stored, TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.state import FileState, check_state

__all__ = ["GONE", "hooks_of", "offloaded", "unhook"]

#: what `accelerate.dispatch_model` sets on a model
_METHODS = ("to", "cuda", "npu", "xpu", "mlu", "sdaa", "musa", "neuron", "hf_device_map")
#: what stands in a copy of a model in the place of such a hook
GONE = object()


def offloaded(skeleton: Skeleton, context: Context) -> dict[str, TensorExpr]:
    """Key -> how its values come from where a hook of accelerate's keeps them. Nothing is read but headers.

    Args:
        skeleton: the model that is given.
        context: it is told of the files.

    Raises:
        SurgeryError: code ``unfit-model``; a hook says where a tensor is, and it is not there.
    """
    found: dict[str, TensorExpr] = {}
    known: dict[Any, TensorExpr] = {}
    kept = [(path, module, hook) for path, module in skeleton.modules.items() for hook in hooks_of(module)]
    for slot in skeleton.slots():
        if not slot.tensor.is_meta:
            continue
        for path, module, hook in kept:
            prefix = f"{path}." if path else ""
            inside = hook.place_submodules and slot.key.startswith(prefix)
            if hook.offload and hook.weights_map is not None and (module is slot.module or inside):
                name = slot.key.removeprefix(prefix) if inside else slot.name
                source = _Source(slot.key, slot.tensor, known, context)
                found[slot.key] = source.cast(source.of(hook.weights_map, name), hook.weights_map, name)
                break
    return found


def hooks_of(module: nn.Module) -> Iterator[Any]:
    """The hooks of accelerate's that move weights and inputs of a module."""
    hook = getattr(module, "_hf_hook", None)
    if hook is None:
        return
    from accelerate.hooks import AlignDevicesHook

    for one in getattr(hook, "hooks", (hook,)):
        if isinstance(one, AlignDevicesHook):
            yield one


def unhook(module: nn.Module) -> None:
    """Clear a copy of a model, where `GONE` stands for hooks, of them and of what they put in the place of methods.

    accelerate's own function would bring all weights in.
    """
    for part in module.modules():
        own = vars(part)
        hook = own.get("_hf_hook")
        if hook is not GONE and GONE not in getattr(hook, "hooks", ()):
            continue
        old: Any = own.get("_old_forward")
        for name in ("_hf_hook", "_old_forward", "forward", *_METHODS):
            own.pop(name, None)
        if getattr(old, "__func__", None) is not type(part).forward:
            part.forward = old


class _Source:
    """The values of one tensor, as an expression."""

    def __init__(self, key: str, tensor: Tensor, known: dict[Any, TensorExpr], context: Context) -> None:
        self._key = key
        self._tensor = tensor
        self._known = known
        self._context = context

    def of(self, weights: Any, name: str) -> TensorExpr:
        """The values under `name` in a mapping of accelerate's."""
        if hasattr(weights, "dataset") and hasattr(weights, "prefix"):
            return self.of(weights.dataset, weights.prefix + name)
        exprs: Mapping[str, Stored] | None = getattr(weights, "exprs", None)
        if exprs is not None:
            for piece in exprs[name].ranges:
                self._context.files[piece.path] = weights.states[piece.path]
                check_state(piece.path, weights.states[piece.path])
            return exprs[name]
        index = getattr(weights, "index", None)
        if index is None or name in getattr(weights, "state_dict", {}):
            return self._held(weights, name)
        if name not in index:
            raise self._fails("its hook does not know where it is")
        about = index[name]
        if about.get("safetensors_file") is not None:
            return self._in_safetensors(about["safetensors_file"], about.get("weight_name", name))
        return self._in_folder(os.path.join(weights.save_folder, f"{name}.dat"), about)

    def _held(self, weights: Mapping[str, Tensor], name: str) -> TensorExpr:
        if name not in weights:
            raise self._fails("its hook does not know where it is")
        tensor = weights[name].detach()
        return self._known.setdefault(identity(tensor), Held(spec_of(tensor), tensor))

    def _in_safetensors(self, path: str, name: str) -> TensorExpr:
        if path not in self._known:
            self._known[path] = read(path)  # type: ignore[assignment]
        found: Any = self._known[path]
        self._context.files.update(found.files)
        if name not in found.tree:
            raise self._fails(f"its hook says that it is in `{path}`, and there is no `{name}`")
        expr: TensorExpr = found.tree[name]
        return expr

    def _in_folder(self, path: str, about: Mapping[str, Any]) -> TensorExpr:
        """The format of accelerate's folders: a file for each tensor, with its bytes and nothing else."""
        spec = Spec(tuple(about["shape"]), DTYPES[about["dtype"]])
        state = FileState.of(os.stat(path)) if os.path.isfile(path) else None
        if state is None or state.size != spec.nbytes:
            raise self._fails(f"its hook says that it is `{path}`, and that is no file of {spec.nbytes} bytes")
        path = os.path.abspath(path)
        self._context.files[path] = state
        return self._known.setdefault(path, Stored(spec, (ByteRange(path, 0, state.size),)))

    def cast(self, expr: TensorExpr, weights: Mapping[str, Tensor], name: str) -> TensorExpr:
        """The values as the hook brings them in: of another dtype, it casts them to that of the model."""
        spec = spec_of(self._tensor)
        if expr.spec.shape != spec.shape:
            raise self._fails(f"it is {spec}, and what its hook brings in is {expr.spec}")
        return expr if expr.spec == spec else Held(spec, weights[name].detach().to(self._tensor.dtype))

    def _fails(self, why: str) -> Exception:
        note = "the state dict of a model before it was offloaded can be given"
        return fail("unfit-model", f"`{self._key}` is offloaded, and cannot be read: {why}", notes=(note,))
