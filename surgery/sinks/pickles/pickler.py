"""Pickles as torch reads them, written without torch: containers, plain values, tensors, and placeholders as they were.

The opcodes are those of protocol 2, after ``pickletools`` of the standard library, which is what ``torch.load`` with
``weights_only=True`` takes; a tensor is a call of ``torch._utils._rebuild_tensor_v2`` on a persistent identifier, after
``torch/_tensor.py`` and ``torch/serialization.py``. An object that is met twice is written once and referred to.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from surgery.diagnostics import escape, fail
from surgery.formats.contents import Blob, Ordered, Placeholder, Storage, Trait
from surgery.formats.pickles.tensors import STORAGE_TYPES
from surgery.sinks.base import Embed
from surgery.sinks.pickles.arrays import array_parts, is_array
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Stored, Strided, TensorExpr, Unread
from surgery.tensors.spec import Spec

__all__ = ["STORAGE_CLASSES", "PickledStorage", "Pickler", "pickled"]

#: dtype -> the class of its storages; all others have untyped ones (torch.storage._new_dtypes)
STORAGE_CLASSES = {
    dtype.name: name for name, (dtype, _) in STORAGE_TYPES.items() if dtype is not None and name != "UntypedStorage"
}
_PROTOCOL = b"\x80\x02"


class PickledStorage:
    """A storage that a pickle refers to: its key, how many elements it has, and what its bytes are."""

    __slots__ = ("expr", "key", "name", "numel")

    def __init__(self, key: str, name: str, numel: int, expr: TensorExpr) -> None:
        self.key = key
        self.name = name
        self.numel = numel
        self.expr = expr


def pickled(value: Any) -> bytes:
    """The pickle of plain values.

    >>> import pickle
    >>> pickle.loads(pickled({"epoch": 3, "betas": (0.9, 0.999)}))
    {'epoch': 3, 'betas': (0.9, 0.999)}
    """
    return Pickler(lambda expr: b"").dump(value)


class Pickler:
    """Writes one object; `storages` are those that it refers to, in order.

    Args:
        embed: reads what stands inside the pickle itself: arrays and long byte strings.
        traits: what is known of tensors that are parameters or arrays.
        views: whether storages are named with a view, as in files from before torch 1.6.
    """

    def __init__(self, embed: Embed, traits: Mapping[TensorExpr, Trait] | None = None, *, views: bool = False) -> None:
        self.storages: list[PickledStorage] = []
        self._embed = embed
        self._traits = traits or {}
        self._views = views
        self._out = bytearray()
        self._memo: dict[int, int] = {}
        self._names: dict[tuple[str, str], int] = {}
        #: what is remembered by its id must live as long
        self._alive: list[Any] = []
        self._keys: dict[int, PickledStorage] = {}

    def dump(self, value: Any) -> bytes:
        """The pickle of `value`."""
        self._out += _PROTOCOL
        self._save(value)
        self._out += b"."
        return bytes(self._out)

    def dump_tensor(self, value: TensorExpr) -> bytes:
        """The pickle of a plain tensor, whatever it was in its file."""
        self._out += _PROTOCOL
        self._rebuilt(value, requires_grad=False)
        self._out += b"."
        return bytes(self._out)

    def _save(self, value: Any) -> None:
        known = self._memo.get(id(value))
        if known is not None:
            self._get(known)
            return
        writer = _WRITERS.get(type(value))
        if writer is None:
            writer = next((_WRITERS[base] for base in type(value).__mro__ if base in _WRITERS), None)
        assert writer is not None, f"no pickle can hold a {type(value).__name__}"
        writer(self, value)

    # the memo

    def _put(self, value: Any) -> None:
        index = self._next()
        self._memo[id(value)] = index
        self._alive.append(value)

    def _next(self) -> int:
        index = len(self._memo) + len(self._names)
        self._out += b"q" + bytes((index,)) if index < 256 else b"r" + struct.pack("<I", index)
        return index

    def _get(self, index: int) -> None:
        self._out += b"h" + bytes((index,)) if index < 256 else b"j" + struct.pack("<I", index)

    # plain values

    def _none(self, value: None) -> None:
        self._out += b"N"

    def _bool(self, value: bool) -> None:
        self._out += b"\x88" if value else b"\x89"

    def _int(self, value: int) -> None:
        if 0 <= value < 1 << 8:
            self._out += b"K" + bytes((value,))
        elif 0 <= value < 1 << 16:
            self._out += b"M" + struct.pack("<H", value)
        elif -(1 << 31) <= value < 1 << 31:
            self._out += b"J" + struct.pack("<i", value)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self._out += b"\x8a" + bytes((len(raw),)) if len(raw) < 256 else b"\x8b" + struct.pack("<i", len(raw))
            self._out += raw

    def _float(self, value: float) -> None:
        self._out += b"G" + struct.pack(">d", value)

    def _complex(self, value: complex) -> None:
        self._call("__builtin__", "complex", (value.real, value.imag))

    def _str(self, value: str) -> None:
        raw = value.encode("utf-8", "surrogatepass")
        self._out += b"X" + struct.pack("<I", len(raw)) + raw

    def _bytes(self, value: bytes) -> None:
        self._call("_codecs", "encode", (value.decode("latin-1"), "latin1"))

    def _bytearray(self, value: bytearray) -> None:
        self._call("__builtin__", "bytearray", (bytes(value),))

    def _blob(self, value: Blob) -> None:
        self._bytes(self._embed(Stored(Spec((value.range.length,), DTYPES["uint8"]), (value.range,))))

    # containers

    def _tuple(self, value: tuple[Any, ...]) -> None:
        if not value:
            self._out += b")"
            return
        if len(value) > 3:
            self._out += b"("
        for item in value:
            self._save(item)
        self._out += {1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(value), b"t")
        self._put(value)

    def _list(self, value: list[Any]) -> None:
        self._out += b"]"
        self._put(value)
        self._append(value)

    def _append(self, items: Iterable[Any]) -> None:
        items = list(items)
        if items:
            self._out += b"("
            for item in items:
                self._save(item)
            self._out += b"e"

    def _dict(self, value: Mapping[Any, Any]) -> None:
        self._out += b"}"
        self._put(value)
        self._set(value.items())

    def _set(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        pairs = list(pairs)
        if pairs:
            self._out += b"("
            for key, item in pairs:
                self._save(key)
                self._save(item)
            self._out += b"u"

    def _ordered(self, value: Ordered) -> None:
        self._global("collections", "OrderedDict")
        self._out += b")R"
        self._put(value)
        self._set(value.items())
        if value.attributes:
            self._save(value.attributes)
            self._out += b"b"

    def _items(self, value: set[Any] | frozenset[Any]) -> None:
        # a set has no order: sorted by what is written, the file is the same each time
        self._call(
            "__builtin__", type(value).__name__, (sorted(value, key=lambda item: (type(item).__name__, repr(item))),)
        )

    # calls

    def _global(self, module: str, name: str) -> None:
        known = self._names.get((module, name))
        if known is not None:
            self._get(known)
            return
        outer, _, inner = name.rpartition(".")
        if outer:
            self._call("__builtin__", "getattr", (Placeholder(module, outer), inner))
        else:
            if "\n" in module or "\n" in name:
                message = f"the checkpoint names a class that cannot be: `{escape(module)}.{escape(name)}`"
                raise fail("not-in-this-format", message, notes=("`container: bare` writes the tensors alone",))
            self._out += b"c" + module.encode() + b"\n" + name.encode() + b"\n"
        self._names[module, name] = self._next()

    def _call(self, module: str, name: str, args: tuple[Any, ...]) -> None:
        self._global(module, name)
        self._tuple(args)
        self._out += b"R"

    def _placeholder(self, value: Placeholder) -> None:
        self._global(value.module, value.name)
        if value.args is not None:
            self._save(value.args)
            if value.kwargs:
                self._save(dict(value.kwargs))
            self._out += b"\x92" if value.kwargs else b"\x81" if value.new else b"R"
            self._put(value)
        if value.items:
            (self._set if value.mapping else self._append)(value.items)
        if value.state is not None:
            self._save(value.state)
            self._out += b"b"

    # tensors

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
        storage = self._keys.get(identity)
        if storage is None:
            storage = self._keys[identity] = PickledStorage(str(len(self.storages)), name, numel, expr)
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


_WRITERS: dict[type, Callable[[Pickler, Any], None]] = {
    type(None): Pickler._none,
    bool: Pickler._bool,
    int: Pickler._int,
    float: Pickler._float,
    complex: Pickler._complex,
    str: Pickler._str,
    bytes: Pickler._bytes,
    bytearray: Pickler._bytearray,
    Blob: Pickler._blob,
    tuple: Pickler._tuple,
    list: Pickler._list,
    Ordered: Pickler._ordered,
    dict: Pickler._dict,
    set: Pickler._items,
    frozenset: Pickler._items,
    Placeholder: Pickler._placeholder,
    Storage: Pickler._storage,
    TensorExpr: Pickler._tensor,
    Unread: Pickler._unread,
}
