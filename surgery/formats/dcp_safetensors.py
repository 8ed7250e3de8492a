"""Distributed checkpoints in safetensors: one file for each rank, in a directory, and no index.

``HuggingFaceStorageWriter(save_distributed=True)`` of torch writes them; where it joins them itself, they are ordinary
safetensors. The shape of a tensor is said nowhere: it is what its parts reach to. So where the files of the last ranks
are absent, nothing tells, neither here nor in torch; those of others leave holes.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from surgery.formats.contents import Checkpoint
from surgery.formats.detect import FORMATS, Format
from surgery.formats.distributed.joining import Part, joined
from surgery.formats.distributed.metadata import Chunk
from surgery.formats.distributed.parts import SHARDING, is_part, is_part_name, offsets_of
from surgery.formats.file import File, corrupt, open_file
from surgery.formats.pickles.machine import Malformed
from surgery.formats.safetensors import Safetensors
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.state import FileState

__all__ = ["DistributedSafetensors"]

#: pairs that describe a part, and not the whole
_OF_A_PART = {SHARDING, "DCP_VERSION"}


@FORMATS.register("dcp-safetensors")
class DistributedSafetensors(Format):
    """The parts of all ranks, given by any one of them."""

    title: ClassVar[str] = "distributed checkpoint (safetensors)"

    @classmethod
    def matches(cls, file: File) -> bool:
        return is_part(file)

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        parts: dict[str, list[Part]] = defaultdict(list)
        files: dict[str, FileState] = {}
        metadata: dict[str, str] = {}
        directory = Path(file.path).parent
        for name in sorted(filter(is_part_name, os.listdir(directory))):
            with open_file(directory / name, os.path.join(os.path.dirname(file.name), name)) as part:
                found = Safetensors.read(part)
                offsets = offsets_of(part, found.metadata, {key: len(e.spec.shape) for key, e in found.tree.items()})
            files |= found.files
            metadata |= {key: text for key, text in found.metadata.items() if key not in _OF_A_PART}
            for key, expr in found.tree.items():
                parts[key].append((Chunk(offsets[key], expr.spec.shape), expr))
        tree = {key: _whole(file, key, inside) for key, inside in parts.items()}
        return Checkpoint.of(file, "dcp-safetensors", tree, metadata=metadata, files=files)


def _whole(file: File, key: str, parts: list[Part]) -> TensorExpr:
    kinds = {(expr.spec.dtype, len(expr.spec.shape)) for _, expr in parts}
    if len(kinds) > 1:
        raise corrupt(file, f"the parts of the tensor `{key}` are of different dtypes or numbers of dimensions")
    ends = [[at + size for at, size in zip(c.offsets, c.sizes, strict=True)] for c, _ in parts]
    spec = Spec(tuple(map(max, zip(*ends, strict=True))), parts[0][1].spec.dtype)
    try:
        return joined(spec, parts)
    except Malformed as error:
        raise corrupt(file, f"the tensor `{key}`: {error}", "the part of a rank may be absent", cause=error) from error
