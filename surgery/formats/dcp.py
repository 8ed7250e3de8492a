"""Directories of ``torch.distributed.checkpoint``: ``.metadata``, and ``__0_0.distcp`` and its like beside it.

The metadata says in which boxes each tensor was saved, and in which file each box stands, as ``torch.save`` wrote it.
What was no tensor was pickled item by item. A directory stands for one nested state dict, which is put together again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from surgery.diagnostics import fail
from surgery.formats.additions import MEMBER, RECORD
from surgery.formats.contents import Checkpoint, Placeholder
from surgery.formats.detect import FORMATS, Format
from surgery.formats.distributed import SUFFIX
from surgery.formats.distributed.items import Contents, read_items
from surgery.formats.distributed.joining import Part, joined
from surgery.formats.distributed.metadata import Chunk, Described, Item, TensorItem, is_metadata, read_metadata
from surgery.formats.distributed.nesting import nested
from surgery.formats.distributed.numbers import restore_numbers
from surgery.formats.file import File, open_file
from surgery.formats.nodes import tensor_like
from surgery.formats.pickles.machine import Malformed, Unsupported, reading
from surgery.tensors.expr import Stored, TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["DistributedCheckpoint"]


@FORMATS.register("dcp")
class DistributedCheckpoint(Format):
    """A directory of ``torch.distributed.checkpoint.save``, given by its metadata."""

    title: ClassVar[str] = "distributed checkpoint (torch)"

    @classmethod
    def matches(cls, file: File) -> bool:
        return is_metadata(file) or file.path.endswith(SUFFIX)

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        if not is_metadata(file):
            note = "its directory is one checkpoint: name that, or the `.metadata` in it"
            raise fail(
                "not-a-checkpoint", f"`{file.name}` is one of the files of a distributed checkpoint", notes=[note]
            )
        with reading(file):
            described = read_metadata(file)
            contents = read_items(file, _names(described))
            tensors = _Tensors(described, contents)
            values = ((described.paths[name], tensors.value(name)) for name in described.entries)
            tree = nested(file, values)
        restore_numbers(tree)
        files = {file.path: file.state, **contents.files}
        return Checkpoint.of(file, "dcp", tree, metadata=_record(file), files=files, traits=contents.traits)


def _record(metadata: File) -> dict[str, str]:
    """The record of what made the directory, as metadata, where there is one beside."""
    path = Path(metadata.path).with_name(MEMBER)
    if not path.is_file():
        return {}
    with open_file(path, os.path.join(os.path.dirname(metadata.name), MEMBER)) as file:
        return {RECORD: file.whole("record").decode(errors="replace")}


def _names(described: Described) -> dict[Item, str]:
    """The items that are wanted, and what messages call them: what is in the files beside them is not looked at."""
    names: dict[Item, str] = {}
    for name, entry in described.entries.items():
        if entry is None:
            names.setdefault(_place(described, name, None), name)
        elif entry.spec.numel:
            for chunk in entry.chunks:
                if 0 not in chunk.sizes:
                    names.setdefault(_place(described, name, chunk.offsets), name)
    return names


def _place(described: Described, name: str, offsets: tuple[int, ...] | None) -> Item:
    item = described.items.get((name, offsets))
    if item is None:
        raise Malformed(f"it does not say where `{name}` was saved")
    return item


class _Tensors:
    """The values of all names; what was saved as the same bytes is one expression, which is how ties are known."""

    def __init__(self, described: Described, contents: Contents) -> None:
        self._described = described
        self._contents = contents
        self._made: dict[tuple[Any, ...], TensorExpr] = {}

    def value(self, name: str) -> Any:
        """What stands under a name."""
        entry = self._described.entries[name]
        if entry is None:
            return self._contents.values[_place(self._described, name, None)]
        if not entry.spec.numel:
            return Stored(entry.spec, ())
        found = [(chunk, self._chunk(name, chunk, entry)) for chunk in entry.chunks if 0 not in chunk.sizes]
        if len(found) == 1 and isinstance(found[0][1], Placeholder):
            return found[0][1]
        return self._joined(name, entry.spec, found)

    def _joined(self, name: str, spec: Spec, found: list[Part]) -> TensorExpr:
        key = (spec, *((chunk, id(expr)) for chunk, expr in found))
        if key not in self._made:
            try:
                self._made[key] = joined(spec, found)
            except Malformed as error:
                raise Malformed(f"the tensor `{name}`: {error}") from error
        return self._made[key]

    def _chunk(self, name: str, chunk: Chunk, entry: TensorItem) -> Any:
        found = self._contents.values[_place(self._described, name, chunk.offsets)]
        why = tensor_like(found)
        if why is not None and len(entry.chunks) == 1:
            # an error where it is used as a tensor, and not before
            return found
        if why is not None:
            raise Unsupported(f"the tensor `{name}` {why}")
        spec = Spec(chunk.sizes, entry.spec.dtype)
        if not isinstance(found, TensorExpr) or found.spec != spec:
            what = found.spec if isinstance(found, TensorExpr) else "no tensor"
            raise Malformed(f"a chunk of the tensor `{name}` is said to be {spec}, and is {what}")
        return found
