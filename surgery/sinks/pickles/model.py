"""The pickle of a model: its objects as Python pickles them, its tensors as references to bytes that stand elsewhere.

After ``torch/serialization.py`` (``_save``), which does the same with the tensors in memory. Two things are otherwise,
so that equal models are equal files: sets are written in order, and equal strings count as one object, which they may
or may not be in a process.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from types import FunctionType
from typing import Any, ClassVar

from surgery.ops.arithmetic import torch_dtype
from surgery.sinks.pickles.tensors import STORAGE_CLASSES, PickledStorage
from surgery.tensors.expr import Held, TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["ModelPickler", "Unreferable"]


class Unreferable(Exception):
    """A tensor whose bytes nothing refers to: on the meta device, sparse, quantised, or of a class of its own."""


class _Data:
    """A tensor of plain data."""

    def __init__(self, expr: TensorExpr) -> None:
        self.expr = expr


class _Reference:
    """A storage."""

    def __init__(self, storage: PickledStorage) -> None:
        self.storage = storage


#: the pickler in Python: the one in C asks nobody how a set is written
_Pickler: Any = pickle._Pickler


class ModelPickler(_Pickler):  # type: ignore[misc]
    """Pickles one model.

    Args:
        exprs: id of a parameter or buffer -> how its values are made.
        location: the device that the tensors are saved from.

    Attributes:
        storages: what the pickle refers to, in the order of their keys.
        names: every class and function that it names.
    """

    def __init__(self, exprs: Mapping[int, TensorExpr], location: str) -> None:
        self._out = io.BytesIO()
        super().__init__(self._out, protocol=2)
        self._exprs = exprs
        self._location = location
        self._texts: dict[str, str] = {}
        self._plain: list[Any] = []
        self._by_expr: dict[int, PickledStorage] = {}
        self.storages: list[PickledStorage] = []
        self.names: dict[tuple[str, str], None] = {}

    def pickled(self, model: Any) -> bytes:
        """The pickle of `model`.

        Raises:
            Exception: whatever an object in it says that it cannot be pickled with.
        """
        self.dump(model)
        return self._out.getvalue()

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        super().save(self._texts.setdefault(obj, obj) if type(obj) is str else obj, save_persistent_id)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        super().save_global(obj, name)
        self.names[str(getattr(obj, "__module__", "")), name or obj.__qualname__] = None

    dispatch: ClassVar[dict[Any, Any]] = {**_Pickler.dispatch, FunctionType: save_global}

    def reducer_override(self, obj: Any) -> Any:
        import torch

        if isinstance(obj, _Data):
            return self._data(obj)
        if isinstance(obj, torch.Tensor):
            return self._tensor(obj)
        if type(obj) in (set, frozenset):
            return type(obj), (sorted(obj, key=lambda item: (type(item).__name__, repr(item))),)
        return NotImplemented

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Reference):
            return None
        import torch

        storage = obj.storage
        kind = getattr(torch, storage.name, torch.UntypedStorage)
        return ("storage", kind, storage.key, self._location, storage.numel)

    def _tensor(self, tensor: Any) -> Any:
        import torch

        expr = self._exprs.get(id(tensor))
        if expr is None:
            expr = self._held(tensor)
        data = _Data(expr)
        if not isinstance(tensor, torch.nn.Parameter):
            return self._data(data, requires_grad=tensor.requires_grad)
        return torch._utils._rebuild_parameter, (data, tensor.requires_grad, OrderedDict())

    def _held(self, tensor: Any) -> Held:
        """A tensor that is no part of the state dict; it is in memory."""
        from surgery.model.building import is_opaque
        from surgery.model.tensors import spec_of

        if tensor.is_meta or is_opaque(tensor):
            what = "on the meta device, without data" if tensor.is_meta else f"{spec_of(tensor).dtype}"
            raise Unreferable(f"a tensor that is no part of the state dict is {what}")
        plain = tensor.detach().contiguous()
        self._plain.append(plain)
        return Held(spec_of(plain), plain)

    def _data(self, data: _Data, *, requires_grad: bool = False) -> Any:
        """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``, in a storage of its own."""
        import torch

        spec = data.expr.spec
        storage = self._by_expr.get(id(data.expr))
        if storage is None:
            storage = self._by_expr[id(data.expr)] = self._storage(data.expr, spec)
        strides = torch.empty(spec.shape, device="meta").stride()
        args: tuple[Any, ...] = (_Reference(storage), 0, spec.shape, strides, requires_grad, OrderedDict())
        if spec.dtype.name in STORAGE_CLASSES:
            return torch._utils._rebuild_tensor_v2, args
        return torch._utils._rebuild_tensor_v3, (*args, torch_dtype(spec.dtype.name))

    def _storage(self, expr: TensorExpr, spec: Spec) -> PickledStorage:
        typed = STORAGE_CLASSES.get(spec.dtype.name)
        numel = spec.numel if typed else spec.nbytes
        made = PickledStorage(str(len(self.storages)), typed or "UntypedStorage", numel, expr)
        self.storages.append(made)
        return made
