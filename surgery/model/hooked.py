"""Models that accelerate offloaded: their weights are on the meta device, and hooks know where the values are."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from surgery.diagnostics import fail
from surgery.formats import Checkpoint, read
from surgery.model.skeleton import Skeleton
from surgery.model.tensors import identity, spec_of
from surgery.ops.arithmetic import torch_dtype
from surgery.planning.context import Context
from surgery.subtrees import prefixes
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Held, Stored, TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.state import FileState, check_state

__all__ = ["GONE", "hooks_of", "offloaded", "unhook"]

#: what `accelerate.dispatch_model` sets on a model
_METHODS = ("to", "cuda", "npu", "xpu", "mlu", "sdaa", "musa", "neuron", "hf_device_map")
#: what stands in a copy of a model in the place of such a hook
GONE = object()
_UNKNOWN = "its hook does not know where it is"


def offloaded(skeleton: Skeleton, context: Context) -> dict[str, TensorExpr]:
    """Key -> how its values come from where a hook of accelerate's keeps them. Nothing is read but headers.

    Args:
        skeleton: the model that is given.
        context: it is told of the files.

    Raises:
        SurgeryError: code ``unfit-model``; a hook says where a tensor is, and it is not there.
    """
    hooks = {path: list(hooks_of(module)) for path, module in skeleton.modules.items()}
    places = _Places(context)
    found: dict[str, TensorExpr] = {}
    for slot in skeleton.slots():
        known = _hook_of(slot.key, hooks) if slot.tensor.is_meta else None
        if known is None:
            continue
        weights, name = known
        try:
            found[slot.key] = _as_brought_in(places.of(weights, name), spec_of(slot.tensor), weights, name)
        except _Absent as error:
            message = f"`{slot.key}` is offloaded, and cannot be read: {error}"
            note = "the state dict of a model before it was offloaded can be given"
            raise fail("unfit-model", message, notes=(note,)) from error
    return found


def _hook_of(key: str, hooks: Mapping[str, list[Any]]) -> tuple[Mapping[str, Tensor], str] | None:
    """What the hook that brings a tensor in takes it from, and its name there; the topmost one counts."""
    above = ["", *prefixes(key)]
    for path in above:
        for hook in hooks[path]:
            if hook.offload and hook.weights_map is not None and (hook.place_submodules or path == above[-1]):
                return hook.weights_map, key.removeprefix(f"{path}.") if path else key
    return None


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


class _Absent(Exception):
    """Why a tensor is not where its hook says."""


class _Places:
    """Tensors in the mappings from which hooks bring them in, as expressions; one tensor is one expression."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._held: dict[Hashable, TensorExpr] = {}
        self._files: dict[str, Stored] = {}
        self._checkpoints: dict[str, Checkpoint] = {}

    def of(self, weights: Any, name: str) -> TensorExpr:
        """The values under `name` in a mapping of accelerate's, or in one of ours."""
        if hasattr(weights, "dataset") and hasattr(weights, "prefix"):
            return self.of(weights.dataset, weights.prefix + name)
        exprs: Mapping[str, Stored] | None = getattr(weights, "exprs", None)
        if exprs is not None:
            return self._on_disk(exprs[name], weights.states)
        index = getattr(weights, "index", None)
        if index is None or name in getattr(weights, "state_dict", {}):
            return self._in_memory(weights, name)
        if name not in index:
            raise _Absent(_UNKNOWN)
        about = index[name]
        if about.get("safetensors_file") is not None:
            return self._in_safetensors(about["safetensors_file"], about.get("weight_name", name))
        return self._in_folder(os.path.join(weights.save_folder, f"{name}.dat"), about)

    def _on_disk(self, expr: Stored, states: Mapping[str, FileState]) -> TensorExpr:
        for piece in expr.ranges:
            check_state(piece.path, states[piece.path])
            self._context.files[piece.path] = states[piece.path]
        return expr

    def _in_memory(self, weights: Mapping[str, Tensor], name: str) -> TensorExpr:
        if name not in weights:
            raise _Absent(_UNKNOWN)
        tensor = weights[name].detach()
        return self._held.setdefault(identity(tensor), Held(spec_of(tensor), tensor))

    def _in_safetensors(self, path: str, name: str) -> TensorExpr:
        if path not in self._checkpoints:
            self._checkpoints[path] = read(path)
            self._context.files.update(self._checkpoints[path].files)
        found: TensorExpr | None = self._checkpoints[path].tree.get(name)
        if found is None:
            raise _Absent(f"its hook says that it is in `{path}`, and there is no `{name}`")
        return found

    def _in_folder(self, path: str, about: Mapping[str, Any]) -> TensorExpr:
        """The format of accelerate's folders: a file for each tensor, with its bytes and nothing else."""
        spec = Spec(tuple(about["shape"]), DTYPES[about["dtype"]])
        state = FileState.of(os.stat(path)) if os.path.isfile(path) else None
        if state is None or state.size != spec.nbytes:
            raise _Absent(f"its hook says that it is `{path}`, and that is no file of {spec.nbytes} bytes")
        path = os.path.abspath(path)
        self._context.files[path] = state
        return self._files.setdefault(path, Stored(spec, (ByteRange(path, 0, state.size),)))


def _as_brought_in(expr: TensorExpr, spec: Spec, weights: Mapping[str, Tensor], name: str) -> TensorExpr:
    """The values as the hook brings them in: of another dtype, it casts them to that of the model."""
    if expr.spec.shape != spec.shape:
        raise _Absent(f"it is {spec}, and what its hook brings in is {expr.spec}")
    return expr if expr.spec == spec else Held(spec, weights[name].detach().to(torch_dtype(spec.dtype.name)))
