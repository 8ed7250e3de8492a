"""Building a module without its weights: parameters and persistent buffers on the meta device, all else real.

``torch.device("meta")`` alone will not do: it also takes the values of plain tensors and non-persistent buffers
(anchors, index tables), which no checkpoint brings back. So a module is built as usual, each parameter moves to the
meta device as soon as it is registered, and initialisers of meta tensors are left out. (They would compute nothing, and
pull in torch's compiler stack: 1.5 s.) Memory from ``torch.empty`` that is never touched costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from surgery.diagnostics import fail
from surgery.limits import exceeded, limits
from surgery.tensors.spec import format_bytes

__all__ = ["LAZY", "Build", "build", "is_opaque", "meta_twin", "walk"]

#: tensors that get their shape from the first input
LAZY = (UninitializedParameter, UninitializedBuffer)

# in-place functions that change values and nothing else: on a meta tensor there is nothing to do
# fmt: off
_FILLING = frozenset({
    "normal_", "uniform_", "fill_", "zero_", "copy_", "mul_", "add_", "sub_", "div_", "pow_", "neg_", "exp_",
    "log_", "sqrt_", "sigmoid_", "tanh_", "erfinv_", "clamp_", "clamp_min_", "clamp_max_", "exponential_",
    "bernoulli_", "random_", "log_normal_", "cauchy_", "geometric_", "fill_diagonal_", "triu_", "tril_",
    "masked_fill_", "index_fill_", "index_copy_", "scatter_", "trunc_normal_", "constant_", "ones_", "zeros_",
    "eye_", "dirac_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_",
    "sparse_", "__setitem__",
})
# fmt: on
_FACTORIES = frozenset({"empty", "zeros", "ones", "full", "rand", "randn"})


def is_opaque(tensor: Tensor) -> bool:
    """Whether this is no plain dense tensor: quantised, sparse, lazy, or of a class with a storage of its own."""
    plain = type(tensor) in (Tensor, nn.Parameter, nn.Buffer)
    return not plain or tensor.layout != torch.strided or tensor.is_quantized


def meta_twin(tensor: Tensor) -> Tensor:
    """A tensor of the same shape, strides, dtype and class on the meta device."""
    with torch.no_grad():
        twin = torch.empty_like(tensor, device="meta", requires_grad=False)
    if not isinstance(tensor, nn.Parameter):
        return twin
    parameter = nn.Parameter(twin, requires_grad=tensor.requires_grad)
    parameter.__dict__.update(tensor.__dict__)
    return parameter


def walk(module: nn.Module, prefix: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, nn.Module]]:
    """Every path of the module tree with its module, the root first; a shared module under each of its paths.

    Raises:
        SurgeryError: a module stands inside itself.
    """
    if id(module) in above:
        raise fail("unfit-model", f"the module `{prefix}` contains itself, so that it has endlessly many keys")
    yield prefix, module
    for name, child in module._modules.items():
        if child is not None:
            yield from walk(child, f"{prefix}.{name}" if prefix else name, (*above, id(module)))


def _by_identity() -> MutableMapping[Tensor, Any]:
    """A mapping that knows tensors by identity, and does not keep them alive."""
    return WeakIdKeyDictionary()


def _refuse_beyond(limit: str, nbytes: int) -> None:
    """Refuse what takes more bytes than the limit of this name."""
    if nbytes > getattr(limits(), limit):
        raise exceeded(limit, f"this takes {format_bytes(nbytes)} or more", needed=nbytes)


@dataclass(slots=True, eq=False)
class Build:
    """A build under way, and what is known of its tensors afterwards.

    Attributes:
        made: the meta tensors that stand for what was built; copies that the build made of them are not among them.
    """

    made: MutableMapping[Tensor, Any] = field(default_factory=_by_identity)
    _twins: MutableMapping[Tensor, Any] = field(default_factory=_by_identity)
    _values: MutableMapping[Tensor, Any] = field(default_factory=_by_identity)
    _sources: MutableMapping[Tensor, Any] = field(default_factory=_by_identity)
    _markers: MutableMapping[Tensor, Any] = field(default_factory=_by_identity)
    _nbytes: int = 0

    def twin(self, tensor: Tensor) -> Tensor:
        """The meta tensor that stands for `tensor`; the same one each time, so that ties are kept."""
        if tensor.is_meta:
            return tensor
        found = self._twins.get(tensor)
        if found is None:
            found = self._twins[tensor] = meta_twin(tensor)
            self.made[found] = True
            self.take(tensor.nbytes)
            if tensor in self._sources:
                self._sources[found] = self._sources[tensor]
        return found

    def take(self, nbytes: int) -> None:
        """Account for memory that a run would take.

        Raises:
            SurgeryError: code ``too-large``.
        """
        self._nbytes += nbytes
        _refuse_beyond("tensor", nbytes)
        _refuse_beyond("model", self._nbytes)
        if len(self.made) > limits().tensors:
            raise exceeded("tensors", f"this makes more than {limits().tensors} tensors")

    def mark(self, tensor: Tensor, thing: Any) -> Tensor:
        """Make `tensor` stand for `thing`, so that `source` tells into which tensor the build copied it."""
        self._markers[tensor] = thing
        return tensor

    @property
    def loaded(self) -> bool:
        """Whether anything that was marked was copied into a tensor."""
        return len(self._sources) > 0

    def source(self, tensor: Tensor) -> Any:
        """What was copied into the tensor last, of what was marked; None if nothing was."""
        return self._sources.get(tensor)

    def value(self, tensor: Tensor) -> Tensor | None:
        """The value of a persistent buffer as it was built."""
        return self._values.get(tensor)

    def finish(self, module: nn.Module) -> nn.Module:
        """Move what is left to the meta device: persistent buffers, and parameters that came another way."""
        for _, part in walk(module):
            for name, tensor in part._parameters.items():
                if tensor is not None and not is_opaque(tensor):
                    part._parameters[name] = self.twin(tensor)  # type: ignore[assignment]
            for name, buffer in part._buffers.items():
                if buffer is not None and name not in part._non_persistent_buffers_set and not is_opaque(buffer):
                    twin = part._buffers[name] = self.twin(buffer)
                    if twin is not buffer:
                        self._values[twin] = buffer
        return module


class _WithoutValues(TorchFunctionMode):
    """Leaves initialisers of meta tensors out, notes which marked tensor is copied where, and looks at sizes."""

    def __init__(self, current: Build) -> None:
        super().__init__()
        self._build = current

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _FILLING:
            target = args[0] if args else kwargs.get("tensor", kwargs.get("input"))
            source = args[1] if name == "copy_" and len(args) > 1 else None
            if isinstance(source, Tensor) and source in self._build._markers:
                self._build._sources[target] = self._build._markers[source]
                return target
            if isinstance(target, Tensor) and target.is_meta:
                return None if name == "__setitem__" else target
        elif name in _FACTORIES:
            _refuse_beyond("tensor", _bytes_of_call(args, kwargs))
        if not name.endswith("_") and _mixed(args, kwargs):
            # a builder that runs a part of itself, to learn its shapes (torchvision's ssdlite)
            return func(*(_to_meta(value) for value in args), **{k: _to_meta(value) for k, value in kwargs.items()})
        return func(*args, **kwargs)


def _mixed(args: Any, kwargs: Any) -> bool:
    """Whether some tensors of a call are on meta and some are not."""
    places = {value.is_meta for value in (*args, *kwargs.values()) if isinstance(value, Tensor)}
    return len(places) > 1


def _to_meta(value: Any) -> Any:
    return value.to("meta") if isinstance(value, Tensor) else value


def _bytes_of_call(args: Any, kwargs: Any) -> int:
    """How many bytes a factory function would take, at least."""
    sizes = args[0] if args and isinstance(args[0], list | tuple) else kwargs.get("size", args)
    numbers = [size for size in (sizes if isinstance(sizes, list | tuple) else (sizes,)) if isinstance(size, int)]
    dtype = kwargs.get("dtype") or torch.get_default_dtype()
    return prod(numbers) * dtype.itemsize if min(numbers, default=0) >= 0 else 0


_current: ContextVar[Build | None] = ContextVar("surgery_build", default=None)
_hooked: list[object] = []


def _on_registration(module: nn.Module, name: str, parameter: Any) -> Any:
    current = _current.get()
    if current is None or parameter is None or is_opaque(parameter):
        return None
    return current.twin(parameter)


def build(make: Callable[[], nn.Module], current: Build | None = None) -> nn.Module:
    """What `make` builds, without weights.

    Only this thread is concerned: torch's hook on the registration of parameters is one for the process, stays once it
    is there, and does nothing outside such a build.

    Raises:
        SurgeryError: code ``too-large``; and whatever `make` raises.
    """
    if not _hooked:
        _hooked.append(register_module_parameter_registration_hook(_on_registration))
    current = current or Build()
    token = _current.set(current)
    try:
        with _WithoutValues(current):
            return current.finish(make())
    finally:
        _current.reset(token)
