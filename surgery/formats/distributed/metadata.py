"""``.metadata`` of a distributed checkpoint: which tensors there are, in which chunks, and in which file each stands.

It is a pickle of ``Metadata`` of ``torch/distributed/checkpoint/metadata.py``, with ``_StorageInfo`` of
``filesystem.py``. Its classes have moved between torch's modules over the years, so they are told by their names. None
is imported: each object is a placeholder whose fields are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgery.formats.contents import Placeholder
from surgery.formats.distributed.paths import TreePath
from surgery.formats.file import File
from surgery.formats.pickles.machine import Machine, Malformed, Unsupported
from surgery.formats.pickles.stream import InFile
from surgery.formats.pickles.tensors import DIMENSIONS, Tensors, is_size, no_storage
from surgery.formats.plain_names import is_plain
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.spec import Spec

__all__ = ["Chunk", "Described", "Item", "TensorItem", "is_metadata", "read_metadata"]

#: how the name of the module with the class ``Metadata`` begins, and how it ends; what is between has changed
_MODULES = (b"torch.distributed.", b"checkpoint.metadata")


@dataclass(frozen=True, slots=True)
class Item:
    """Where something was saved: `length` bytes of the file called `file` in the directory, from byte `offset`."""

    file: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A box of a tensor: where it begins and how long it is in each dimension, in elements."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorItem:
    """A tensor and the chunks that it was saved in."""

    spec: Spec
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """What the metadata says.

    Attributes:
        entries: name -> tensor, or None for an object that was pickled.
        items: name and offsets of a chunk (None for an object) -> where it was saved.
        paths: name -> where it stood in the nested state dict.
    """

    entries: Mapping[str, TensorItem | None]
    items: Mapping[tuple[str, tuple[int, ...] | None], Item]
    paths: Mapping[str, TreePath]


def is_metadata(file: File) -> bool:
    """Whether a file begins with an object of the class ``Metadata``."""
    head = file.head[:128]
    return head[:1] == b"\x80" and all(part in head for part in _MODULES)


def read_metadata(file: File) -> Described:
    """The metadata in a file.

    Raises:
        Malformed, Unsupported: it is damaged, or describes what cannot be read.
    """
    builders = {**Tensors().builders, ("torch", "Size"): _size}
    machine = Machine(InFile(file), builders=builders, finishers={}, persistent=no_storage)
    fields = _fields(machine.load_last(), "Metadata")
    entries = {_text(name): _entry(_text(name), value) for name, value in _pairs(fields, "state_dict_metadata")}
    return Described(entries, _items(fields), _paths(fields, entries))


def _entry(name: str, value: Any) -> TensorItem | None:
    if isinstance(value, Placeholder) and value.name == "BytesStorageMetadata":
        return None
    fields = _fields(value, "TensorStorageMetadata")
    spec = Spec(_sizes(fields.get("size")), _dtype(name, fields.get("properties")))
    chunks = fields.get("chunks")
    if not isinstance(chunks, list):
        raise Malformed(f"the tensor `{name}` has no list of chunks")
    return TensorItem(spec, tuple(_chunk(name, spec, chunk) for chunk in chunks))


def _chunk(name: str, spec: Spec, value: Any) -> Chunk:
    fields = _fields(value, "ChunkStorageMetadata")
    chunk = Chunk(_sizes(fields.get("offsets")), _sizes(fields.get("sizes")))
    if not len(chunk.offsets) == len(chunk.sizes) == len(spec.shape):
        raise Malformed(f"a chunk of the tensor `{name}` has another number of dimensions than the tensor")
    ends = (offset + size for offset, size in zip(chunk.offsets, chunk.sizes, strict=True))
    if any(end > whole for end, whole in zip(ends, spec.shape, strict=True)):
        raise Malformed(f"a chunk of the tensor `{name}` reaches beyond its shape")
    return chunk


def _dtype(name: str, properties: Any) -> DType:
    """The dtype of ``TensorProperties``, whose state is the tuple (dtype, layout, requires_grad, …)."""
    state = properties.state if isinstance(properties, Placeholder) else None
    if not isinstance(state, tuple) or len(state) < 2 or not isinstance(state[0], Placeholder):
        raise Malformed(f"the tensor `{name}` has no properties")
    dtype, layout = state[:2]
    if not isinstance(layout, Placeholder) or layout.args != ("torch.strided",):
        raise Unsupported(f"the tensor `{name}` is not stored element by element: it is sparse, or of another layout")
    known = DTYPES.get(dtype.name) if dtype.module == "torch" else None
    if known is None:
        raise Unsupported(f"the tensor `{name}` is of the dtype `{dtype}`, which cannot be read")
    return known


def _items(fields: Mapping[str, Any]) -> dict[tuple[str, tuple[int, ...] | None], Item]:
    items: dict[tuple[str, tuple[int, ...] | None], Item] = {}
    for index, value in _pairs(fields, "storage_data"):
        found = _fields(index, "MetadataIndex")
        name, offset = _text(found.get("fqn")), found.get("offset")
        key = (name, None if offset is None else _sizes(offset))
        if key in items:
            raise Malformed(f"`{name}` was saved in two places, and which of them counts would be a guess")
        items[key] = _item(name, _fields(value, "_StorageInfo"))
    return items


def _item(name: str, fields: Mapping[str, Any]) -> Item:
    file, offset, length = fields.get("relative_path"), fields.get("offset"), fields.get("length")
    if not isinstance(file, str) or not is_plain(file):
        named = f"`{file}`" if isinstance(file, str) else "by something that is no text"
        raise Malformed(f"the file of `{name}` is named {named}, which is no name of a file beside the metadata")
    if not is_size(offset) or not is_size(length):
        raise Malformed(f"the place of `{name}` in its file is none that can be")
    if fields.get("transform_descriptors"):
        raise Unsupported(f"`{name}` was compressed or encrypted when it was saved, by an extension of torch")
    return Item(file, offset, length)


def _paths(fields: Mapping[str, Any], entries: Mapping[str, Any]) -> dict[str, TreePath]:
    """Where each name stood; a state dict that was not flattened when it was saved has its names alone."""
    paths: dict[str, TreePath] = {name: (name,) for name in entries}
    if fields.get("planner_data") is None:
        return paths
    for name, path in _pairs(fields, "planner_data"):
        plain = isinstance(path, tuple) and all(type(p) is str or (type(p) is int and p >= 0) for p in path)
        if not plain or not path or type(path[0]) is not str:
            raise Malformed(f"the path of `{name}` in the state dict is none")
        if name in paths:
            paths[name] = path
    return paths


def _fields(value: Any, name: str) -> Mapping[str, Any]:
    """The fields of an object of the dataclass `name`."""
    right = isinstance(value, Placeholder) and value.name == name and value.module.startswith("torch.distributed.")
    if not right or not isinstance(value.state, Mapping):
        raise Malformed(f"it has something else where a `{name}` should be")
    return value.state


def _pairs(fields: Mapping[str, Any], name: str) -> list[tuple[Any, Any]]:
    value = fields.get(name)
    if not isinstance(value, Mapping):
        raise Malformed(f"its `{name}` is no mapping")
    return list(value.items())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed("a name in it is no text")
    return str(value)


def _size(*args: Any) -> tuple[int, ...]:
    """``torch.Size((2, 3))``."""
    return _sizes(args[0] if len(args) == 1 else None)


def _sizes(value: Any) -> tuple[int, ...]:
    good = isinstance(value, tuple | list) and len(value) <= DIMENSIONS
    if not good or not all(map(is_size, value)):
        raise Malformed("a shape or an offset in it is none that can be")
    return tuple(value)
