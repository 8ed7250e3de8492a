"""Pickles as torch reads them, written without torch: containers, plain values, and placeholders as they stood.

The opcodes are those of protocol 2, after ``pickletools`` of the standard library, which is what ``torch.load`` with
``weights_only=True`` takes. An object that is met twice is written once and referred to; equal strings count as one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from surgery.diagnostics import escape, fail
from surgery.formats.contents import Ordered, Placeholder

__all__ = ["Pickler", "Writer", "pickled"]

#: what writes a value of some type
Writer = Callable[[Any, Any], None]
_PROTOCOL = b"\x80\x02"


def pickled(value: Any) -> bytes:
    """The pickle of plain values.

    >>> import pickle
    >>> pickle.loads(pickled({"epoch": 3, "betas": (0.9, 0.999)}))
    {'epoch': 3, 'betas': (0.9, 0.999)}
    """
    return Pickler().dump(value)


class Pickler:
    """Writes one object."""

    #: type -> what writes its values; filled below, since it names the methods
    writers: ClassVar[Mapping[type, Writer]]

    def __init__(self) -> None:
        self._out = bytearray()
        self._count = 0
        self._memo: dict[int, int] = {}
        self._texts: dict[str, int] = {}
        self._names: dict[tuple[str, str], int] = {}
        #: what is remembered by its id must live as long
        self._alive: list[Any] = []

    def dump(self, value: Any) -> bytes:
        """The pickle of `value`."""
        return self._whole(lambda: self._save(value))

    def _whole(self, write: Callable[[], None]) -> bytes:
        self._out += _PROTOCOL
        write()
        self._out += b"."
        return bytes(self._out)

    def _save(self, value: Any) -> None:
        known = self._memo.get(id(value))
        if known is not None:
            self._get(known)
            return
        writer = self.writers.get(type(value))
        if writer is None:
            writer = next((self.writers[base] for base in type(value).__mro__ if base in self.writers), None)
        assert writer is not None, f"no pickle can hold a {type(value).__name__}"
        writer(self, value)

    # the memo

    def _put(self, value: Any) -> None:
        self._memo[id(value)] = self._next()
        self._alive.append(value)

    def _next(self) -> int:
        index = self._count
        self._out += b"q" + bytes((index,)) if index < 256 else b"r" + struct.pack("<I", index)
        self._count += 1
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
        known = self._texts.get(value)
        if known is not None:
            self._get(known)
            return
        raw = value.encode("utf-8", "surrogatepass")
        self._out += b"X" + struct.pack("<I", len(raw)) + raw
        self._texts[value] = self._next()

    def _bytes(self, value: bytes) -> None:
        self._call("_codecs", "encode", (value.decode("latin-1"), "latin1"))

    def _bytearray(self, value: bytearray) -> None:
        self._call("__builtin__", "bytearray", (bytes(value),))

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


Pickler.writers = {
    type(None): Pickler._none,
    bool: Pickler._bool,
    int: Pickler._int,
    float: Pickler._float,
    complex: Pickler._complex,
    str: Pickler._str,
    bytes: Pickler._bytes,
    bytearray: Pickler._bytearray,
    tuple: Pickler._tuple,
    list: Pickler._list,
    Ordered: Pickler._ordered,
    dict: Pickler._dict,
    set: Pickler._items,
    frozenset: Pickler._items,
    Placeholder: Pickler._placeholder,
}
