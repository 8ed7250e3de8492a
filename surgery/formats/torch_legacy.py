"""Torch's files from before 1.6: four pickles, then the storages one after the other.

After ``_legacy_save`` and ``_legacy_load`` of ``torch/serialization.py``: a magic number, a protocol version, a mapping
with the byte order, the object, the keys of the storages; then for each key the number of elements in eight bytes, and
the elements. The object's pickle stands before the places of the storages are known, so it is read twice: first for
the sizes of the storages alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from surgery.formats.additions import RECORD
from surgery.formats.contents import Checkpoint, Placeholder, Storage
from surgery.formats.detect import FORMATS, Format
from surgery.formats.file import File
from surgery.formats.pickles.arrays import Arrays
from surgery.formats.pickles.machine import Builder, Finisher, Machine, Malformed, Persistent, Unsupported, reading
from surgery.formats.pickles.stream import InFile, Stream
from surgery.formats.pickles.tensors import STORAGE_TYPES, Tensors, is_size, storage_maker
from surgery.tensors.expr import ByteRange

__all__ = ["MAGIC", "TorchLegacy", "read_legacy"]

_NUMBER = 0x1950A86A20F9469CFC6C
#: how such a file begins: the magic number as a pickle of protocol 2
MAGIC = b"\x80\x02\x8a\x0a" + _NUMBER.to_bytes(10, "little") + b"."
_VERSION = 1001
#: what makes nothing of the tensors of a pickle, which is faster than placeholders
_NO_TENSORS: dict[tuple[str, str], Builder] = {
    ("collections", "OrderedDict"): lambda *args: {},
    ("torch._utils", "_rebuild_tensor"): lambda *args: None,
    ("torch._utils", "_rebuild_tensor_v2"): lambda *args: None,
}


@FORMATS.register("torch-legacy")
class TorchLegacy(Format):
    """A file of ``torch.save`` before 1.6, or with ``_use_new_zipfile_serialization=False``."""

    title: ClassVar[str] = "torch (before 1.6)"

    @classmethod
    def matches(cls, file: File) -> bool:
        return file.head.startswith(MAGIC)

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        tensors = Tensors()
        arrays = Arrays(tensors)
        builders = {**tensors.builders, **arrays.builders}
        with reading(file):
            names: set[tuple[str, str]] = set()
            tree = read_legacy(InFile(file), builders, arrays.finishers, names)
            record = _record(InFile(file))
        return Checkpoint.of(file, "torch-legacy", tree, metadata=record, traits=tensors.traits, names=sorted(names))


def read_legacy(
    stream: Stream,
    builders: Mapping[tuple[str, str], Builder],
    finishers: Mapping[tuple[str, str], Finisher],
    names: set[tuple[str, str]] | None = None,
) -> Any:
    """The object of a legacy file, its tensors descriptions; what its pickles name is added to `names`.

    Raises:
        Malformed: it is broken.
    """
    big_endian, start, named = _preamble(stream)
    declared: dict[str, tuple[int, int]] = {}
    first = _machine(stream, _NO_TENSORS, {}, _note(declared), start)
    first.load()
    keys = first.load()
    if names is not None:
        names.update(named, first.globals)
    places = _places(stream, keys, declared, first.position, big_endian)

    def place(key: str, nbytes: int) -> ByteRange:
        return places[key]

    resolve = _with_views(storage_maker(place, big_endian=big_endian))
    return _machine(stream, builders, finishers, resolve, start).load()


def _machine(
    stream: Stream,
    builders: Mapping[tuple[str, str], Builder],
    finishers: Mapping[tuple[str, str], Finisher],
    persistent: Persistent,
    start: int,
) -> Machine:
    return Machine(stream, builders=builders, finishers=finishers, persistent=persistent, start=start)


def _preamble(stream: Stream) -> tuple[bool, int, Collection[tuple[str, str]]]:
    """Whether the file is big-endian, where the object's pickle begins, and what the preamble names."""
    system, start, named = _system(stream)
    little = system.get("little_endian", True)
    if not isinstance(little, bool):
        raise Malformed("it does not say what its byte order is")
    return not little, start, named


def _record(stream: Stream) -> dict[str, str]:
    """The record of what made the file, as metadata, where it has one."""
    record = _system(stream)[0].get(RECORD)
    return {RECORD: record} if isinstance(record, str) else {}


def _system(stream: Stream) -> tuple[Mapping[Any, Any], int, Collection[tuple[str, str]]]:
    """What the file says of the machine that wrote it, where that ends, and what was named up to there."""
    machine = _machine(stream, {}, {}, _no_storage, 0)
    number, version, system = machine.load(), machine.load(), machine.load()
    if number != _NUMBER:
        raise Malformed("its magic number is wrong")
    if version != _VERSION:
        raise Malformed(f"it is of the version {version!r}, and {_VERSION} is known")
    if not isinstance(system, dict):
        raise Malformed("it does not say what its byte order is")
    return system, machine.position, machine.globals


def _no_storage(identifier: Any) -> Any:
    raise Malformed("its preamble names a storage")


def _note(declared: dict[str, tuple[int, int]]) -> Persistent:
    """What notes, for each storage, its size in bytes and that of an element."""

    def resolve(identifier: Any) -> Any:
        if isinstance(identifier, tuple) and len(identifier) == 4 and identifier[0] == "module":
            return identifier[1]
        if not isinstance(identifier, tuple) or len(identifier) != 6:
            raise Malformed("a storage is named in a way that torch does not have")
        _, storage_type, key, _, numel, _ = identifier
        if type(storage_type) is not Placeholder or storage_type.name not in STORAGE_TYPES:
            raise Malformed(f"there is no storage of the type `{storage_type}`")
        if not isinstance(key, str) or not is_size(numel):
            raise Malformed("a storage has a key or a size that cannot be")
        _, size = STORAGE_TYPES[storage_type.name]
        if declared.setdefault(key, (numel * size, size)) != (numel * size, size):
            raise Malformed(f"the storage `{key}` is named with two sizes")
        return None

    return resolve


def _places(
    stream: Stream, keys: Any, declared: dict[str, tuple[int, int]], at: int, big_endian: bool
) -> dict[str, ByteRange]:
    """Where each storage lies, in the order of `keys`."""
    if type(keys) is not list or any(not isinstance(key, str) for key in keys):
        raise Malformed("the list of its storages is damaged")
    if len(set(keys)) != len(keys) or set(keys) != set(declared):
        raise Malformed(
            "the list of its storages is not what its tensors refer to: their data would be whatever was in memory"
        )
    places: dict[str, ByteRange] = {}
    for key in keys:
        nbytes, size = declared[key]
        count = stream.read(at, 8)
        if len(count) < 8 or int.from_bytes(count, "big" if big_endian else "little") * size != nbytes:
            raise Malformed(f"the storage `{key}` is cut off, or not as long as its tensors say")
        at += 8
        where = stream.locate(at, nbytes)
        if where is None:
            raise Unsupported(
                "its tensors stand inside text, as pickles before protocol 3 hold them; `torch.save` writes bytes"
            )
        places[key] = where
        at += nbytes
    if at != stream.size:
        raise Malformed("it is cut off" if at > stream.size else "bytes follow its last storage")
    return places


def _with_views(resolve: Persistent) -> Persistent:
    """`resolve`, with modules, and with views of storages (a part of one, under a key of its own)."""
    made: dict[str, Storage] = {}

    def resolve_view(identifier: Any) -> Any:
        if identifier[0] == "module":
            return identifier[1]
        whole: Storage = resolve(identifier)
        if identifier[5] is None:
            return whole
        key, offset, length = identifier[5]
        if key not in made:
            _, size = STORAGE_TYPES[whole.type]
            if type(offset) is not int or type(length) is not int or not 0 <= offset <= offset + length <= whole.numel:
                raise Malformed("a view of a storage reaches beyond it")
            part = ByteRange(whole.range.path, whole.range.offset + offset * size, length * size)
            made[key] = Storage(whole.type, whole.dtype, length, part, whole.location, whole.big_endian)
        return made[key]

    return resolve_view
