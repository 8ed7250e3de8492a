"""Pickles with tensors: each a call of ``torch._utils._rebuild_tensor_v2`` on the identifier of a storage beside it.

After ``torch/_tensor.py`` and ``torch/serialization.py``. Every tensor gets a contiguous storage of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from surgery.formats.contents import Blob, Ordered, Storage, Trait
from surgery.formats.pickles.tensors import STORAGE_TYPES
from surgery.sinks.base import Embed
from surgery.sinks.pickles.arrays import array_parts, is_array
from surgery.sinks.pickles.pickler import Pickler
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Stored, Strided, TensorExpr, Unread
from surgery.tensors.spec import Spec

__all__ = ["STORAGE_CLASSES", "PickledStorage", "TensorPickler"]

#: dtype -> the class of its storages; all others have untyped ones (torch.storage._new_dtypes)
STORAGE_CLASSES = {
    dtype.name: name for name, (dtype, _) in STORAGE_TYPES.items() if dtype is not None and name != "UntypedStorage"
}


@dataclass(frozen=True, slots=True, eq=False)
class PickledStorage:
    """A storage that a pickle refers to: its key, its class, how many elements it has, and what its bytes are."""

    key: str
    name: str
    numel: int
    expr: TensorExpr

    def of(self, expr: TensorExpr) -> PickledStorage:
        """The same storage with other bytes."""
        return dataclasses.replace(self, expr=expr)


class TensorPickler(Pickler):
    """Writes one object; `storages` are those that it refers to, in order.

    Args:
        embed: reads what stands inside the pickle itself: arrays and long byte strings.
        traits: what is known of tensors that are parameters or arrays.
        views: whether storages are named with a view, as in files from before torch 1.6.
    """

    def __init__(self, embed: Embed, traits: Mapping[TensorExpr, Trait] | None = None, *, views: bool = False) -> None:
        super().__init__()
        self.storages: list[PickledStorage] = []
        self._embed = embed
        self._traits = traits or {}
        self._views = views
        self._by_id: dict[int, PickledStorage] = {}

    def dump_tensor(self, value: TensorExpr) -> bytes:
        """The pickle of a plain tensor, whatever it was in its file. It is the same for all of one shape and dtype."""
        return self._whole(lambda: self._rebuilt(value, requires_grad=False))

    def _blob(self, value: Blob) -> None:
        self._bytes(self._embed(Stored(Spec((value.range.length,), DTYPES["uint8"]), (value.range,))))

    def _tensor(self, value: TensorExpr) -> None:
        trait = self._traits.get(value)
        if is_array(trait):
            self._array(value)
        elif trait is not None and trait.form == "parameter":
            self._global("torch._utils", "_rebuild_parameter")
            self._rebuilt(value, requires_grad=False)
            self._bool(trait.requires_grad)
            self._ordered(Ordered())
            self._out += b"\x87R"
        else:
            self._rebuilt(value, requires_grad=trait is not None and trait.requires_grad)
        self._put(value)

    def _unread(self, value: Unread) -> None:
        self._save(value.node)

    def _rebuilt(self, value: TensorExpr, *, requires_grad: bool) -> None:
        """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``, in a storage of its own."""
        spec = value.spec
        typed = spec.dtype.name in STORAGE_CLASSES
        self._global("torch._utils", "_rebuild_tensor_v2" if typed else "_rebuild_tensor_v3")
        self._out += b"("
        name = STORAGE_CLASSES.get(spec.dtype.name, "UntypedStorage")
        self._reference(id(value), name, spec.numel if typed else spec.nbytes, value)
        for part in (0, spec.shape, _strides(spec.shape), requires_grad):
            self._save(part)
        self._ordered(Ordered())
        if not typed:
            self._global("torch", spec.dtype.name)
        self._out += b"tR"

    def _storage(self, value: Storage) -> None:
        dtype = value.dtype or DTYPES["uint8"]
        spec = Spec((value.range.length // dtype.size,), dtype)
        swapped = value.big_endian and dtype.size > 1
        expr: TensorExpr = Strided(spec, value.range, 0, (1,), True) if swapped else Stored(spec, (value.range,))
        self._reference(id(value), value.type, value.numel, expr)
        self._put(value)

    def _reference(self, identity: int, name: str, numel: int, expr: TensorExpr) -> None:
        """The persistent identifier of a storage."""
        storage = self._by_id.get(identity)
        if storage is None:
            storage = self._by_id[identity] = PickledStorage(str(len(self.storages)), name, numel, expr)
            self.storages.append(storage)
        self._out += b"("
        self._save("storage")
        self._global("torch.storage" if name == "UntypedStorage" else "torch", name)
        for part in (storage.key, "cpu", numel, *([None] if self._views else [])):
            self._save(part)
        self._out += b"tQ"

    def _array(self, value: TensorExpr) -> None:
        function, args, state = array_parts(value.spec, self._embed(value))
        self._call(*function, args)
        self._save(state)
        self._out += b"b"


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a contiguous tensor, in elements, as torch counts them: a size of 0 counts as 1."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


TensorPickler.writers = {
    **Pickler.writers,
    Blob: TensorPickler._blob,
    TensorExpr: TensorPickler._tensor,
    Storage: TensorPickler._storage,
    Unread: TensorPickler._unread,
}
