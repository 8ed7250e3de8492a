"""Directories of ``torch.distributed.checkpoint``, written without torch: ``__0_0.distcp`` and ``.metadata``.

After ``torch/distributed/checkpoint/filesystem.py`` and ``default_planner.py``: a nested state dict is made flat, and
each tensor and each object becomes what ``torch.save`` would write, one behind the other. A tensor is one chunk: it is
for the reader to cut it for its ranks. A tied tensor is written once, and both names lead to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from surgery.diagnostics import fail
from surgery.formats.additions import MEMBER
from surgery.formats.contents import Trait
from surgery.formats.distributed import METADATA, SUFFIX
from surgery.formats.distributed.paths import TreePath, name_of
from surgery.sinks import SINKS
from surgery.sinks.base import Embed, Request, Sink
from surgery.sinks.distributed.flattening import Flat, flat
from surgery.sinks.distributed.metadata import Saved, metadata_of
from surgery.sinks.layout import Block, FileLayout, Layout
from surgery.sinks.pickles.archive import TorchArchive, archive_of
from surgery.sinks.pickles.arrays import is_array
from surgery.sinks.pickles.tensors import PickledStorage, TensorPickler
from surgery.sinks.pickles.tree import check_tree, place, traits_of, tree_of
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.tensors.subject import Subject

__all__ = ["DistributedSink"]

_OURS = re.compile(r"(__\d+_\d+\.distcp|(__\d+)?\.metadata)")


@SINKS.register("dcp")
class DistributedSink(Sink):
    """Writes a directory that ``torch.distributed.checkpoint.load`` reads, into any number of ranks.

    ``__0_0.distcp`` holds the tensors, or, with `shard_size`, ``__0_0.distcp``, ``__0_1.distcp`` and so on;
    ``.metadata`` says what is where. Tied tensors are written once, under all their names. With `container: keep` the
    rest of the checkpoint is made flat as torch makes it: each tensor and each object is an entry of its own, keys that
    are numbers become text, and empty mappings, which have no entry, are left out.
    """

    form: ClassVar = "directory"

    def check(self, subject: Subject, request: Request) -> tuple[str, ...]:
        check_tree(subject, request)
        tree = tree_of(subject, request)
        if not isinstance(tree, Mapping):
            message = "a distributed checkpoint is a mapping, and the checkpoint is none"
            raise fail("not-in-this-format", message, request.span, ("`container: bare` writes the tensors alone",))
        names = Counter(name_of(path) for path, _ in _flat(tree, subject, request).values)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            message = f"a distributed checkpoint is flat, and two entries would both be {listed(twice, 1)}"
            raise fail("not-in-this-format", message, request.span, ("`container: bare` writes the tensors alone",))
        return ()

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        tree = _flat(tree_of(subject, request), subject, request)
        traits = traits_of(subject, request)
        files = [_DataFile(f"__0_0{SUFFIX}")]
        pickles = _Pickles(embed, traits)
        saved: list[Saved] = []
        known: dict[int, Saved] = {}
        for path, value in tree.values:
            spec = value.spec if _is_tensor(value, traits) else None
            if spec is not None and id(value) in known:
                same = known[id(value)]
                saved.append(Saved(path, spec, same.file, same.offset, same.length))
                continue
            size = 0 if spec is None else spec.nbytes
            if request.shard_size is not None and files[-1].tensors and files[-1].tensors + size > request.shard_size:
                files.append(_DataFile(f"__0_{len(files)}{SUFFIX}"))
            pickle, storages = pickles.of_object(value) if spec is None else pickles.of_tensor(value)
            file, start, length = files[-1].save(pickle, storages, size)
            saved.append(Saved(path, spec, file, start, length))
            known[id(value)] = saved[-1]
        layouts = [file.layout(subject) for file in files]
        if request.provenance:
            layouts.append(_small(MEMBER, request.provenance.encode()))
        layouts.append(_small(METADATA, metadata_of(saved)))
        return Layout(tuple(layouts), True, len(subject.entries), _notes(tree.empty))

    def replaceable(self, name: str) -> bool:
        return name == MEMBER or _OURS.fullmatch(name) is not None


def _flat(tree: Mapping[Any, Any], subject: Subject, request: Request) -> Flat:
    traits = traits_of(subject, request)
    return flat(tree, lambda value: _is_tensor(value, traits))


def _is_tensor(value: Any, traits: Mapping[TensorExpr, Trait]) -> bool:
    """Whether a value is saved as a tensor: arrays of numpy in the rest of a checkpoint are objects to torch."""
    if not isinstance(value, TensorExpr):
        return False
    return not is_array(traits.get(value))


def _small(name: str, content: bytes) -> FileLayout:
    return FileLayout(name, len(content), (Block(0, content),), ())


def _notes(empty: list[TreePath]) -> tuple[str, ...]:
    if not empty:
        return ()
    names = listed([name_of(path) for path in empty], 3)
    return (f"left out, since a distributed checkpoint has no place for empty mappings: {names}",)


class _Pickles:
    """Pickles values, each by itself; tensors of one shape and dtype have the same pickle."""

    def __init__(self, embed: Embed, traits: Mapping[TensorExpr, Trait]) -> None:
        self._embed = embed
        self._traits = traits
        self._known: dict[Spec, tuple[bytes, PickledStorage]] = {}

    def of_object(self, value: Any) -> tuple[bytes, Sequence[PickledStorage]]:
        """The pickle of any value, and the storages that it refers to."""
        pickler = TensorPickler(self._embed, self._traits)
        return pickler.dump(value), pickler.storages

    def of_tensor(self, value: TensorExpr) -> tuple[bytes, Sequence[PickledStorage]]:
        """The pickle of a plain tensor, and its storage."""
        if value.spec not in self._known:
            pickler = TensorPickler(self._embed)
            pickle = pickler.dump_tensor(value)
            self._known[value.spec] = pickle, pickler.storages[0]
        pickle, storage = self._known[value.spec]
        return pickle, [storage.of(value)]


class _DataFile:
    """A file of archives, one behind the other.

    Attributes:
        tensors: bytes of tensors in it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tensors = 0
        self._at = 0
        self._archives: list[TorchArchive] = []
        self._storages: list[PickledStorage] = []

    def save(self, pickle: bytes, storages: Sequence[PickledStorage], size: int) -> tuple[str, int, int]:
        """Put a value, with `size` bytes of tensors, behind what is there: in which file, from which byte, how long."""
        archive = archive_of(pickle, storages, self._at)
        self._archives.append(archive)
        self._storages += storages
        self._at = archive.end
        self.tensors += size
        return self.name, archive.start, archive.end - archive.start

    def layout(self, subject: Subject) -> FileLayout:
        """The file, byte by byte."""
        places = [at for archive in self._archives for at in archive.places]
        blocks = tuple(block for archive in self._archives for block in archive.blocks)
        return FileLayout(self.name, self._at, blocks, place(self._storages, places, subject), self._closing)

    def _closing(self, checksums: Sequence[int]) -> tuple[Block, ...]:
        blocks: list[Block] = []
        at = 0
        for archive in self._archives:
            count = len(archive.places)
            blocks += archive.closing(checksums[at : at + count])
            at += count
        return tuple(blocks)
