"""``.metadata`` of a distributed checkpoint, written without torch: what there is, and where it was saved.

A pickle of ``Metadata`` of ``torch/distributed/checkpoint/metadata.py``. What names a moment or a machine (an
identifier of the save, the path of the directory) is left out, as it is in checkpoints of torch before 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from surgery.formats.contents import Placeholder
from surgery.formats.distributed.paths import TreePath, name_of
from surgery.sinks.pickles.pickler import pickled
from surgery.tensors.spec import Spec

__all__ = ["Saved", "metadata_of"]

_METADATA = "torch.distributed.checkpoint.metadata"
_FILESYSTEM = "torch.distributed.checkpoint.filesystem"
#: the version of the format (``CURRENT_DCP_VERSION``)
_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class Saved:
    """Something that was saved: `length` bytes of a file, from byte `offset`.

    Attributes:
        path: where it stands in the nested state dict.
        spec: of a tensor, which is one chunk; None for an object that was pickled.
        file: the name of the file in the directory.
    """

    path: TreePath
    spec: Spec | None
    file: str
    offset: int
    length: int


def metadata_of(saved: Sequence[Saved]) -> bytes:
    """The content of the file."""
    layout = Placeholder("torch.serialization", "_get_layout", ("torch.strided",))
    contiguous = Placeholder(_METADATA, "_MEM_FORMAT_ENCODING", (0,))
    size = cache(lambda shape: Placeholder("torch", "Size", (shape,)))
    states: dict[str, tuple[Any, ...]] = {}
    entries: dict[str, Placeholder] = {}
    items: dict[Placeholder, Placeholder] = {}
    for one in saved:
        name, spec = name_of(one.path), one.spec
        place = _made(_FILESYSTEM, "_StorageInfo", relative_path=one.file, offset=one.offset, length=one.length)
        if spec is None:
            entries[name] = Placeholder(_METADATA, "BytesStorageMetadata", (), new=True)
            items[_made(_METADATA, "MetadataIndex", fqn=name, index=None)] = place
            continue
        dtype = spec.dtype.name
        state = states.setdefault(dtype, (Placeholder("torch", dtype), layout, False, contiguous, False))
        offsets, sizes = size((0,) * len(spec.shape)), size(spec.shape)
        entries[name] = _made(
            _METADATA,
            "TensorStorageMetadata",
            properties=Placeholder(_METADATA, "TensorProperties", (), state, new=True),
            size=sizes,
            chunks=[_made(_METADATA, "ChunkStorageMetadata", offsets=offsets, sizes=sizes)],
        )
        items[_made(_METADATA, "MetadataIndex", fqn=name, index=0, offset=offsets)] = place
    metadata = _made(
        _METADATA,
        "Metadata",
        state_dict_metadata=entries,
        planner_data={name_of(one.path): one.path for one in saved},
        storage_data=items,
        storage_meta=None,
        version=_VERSION,
    )
    return pickled(metadata)


def _made(module: str, name: str, **fields: Any) -> Placeholder:
    """An object of a dataclass."""
    return Placeholder(module, name, (), fields, new=True)
