"""Torch's zip files: a pickle of everything, and one entry for the bytes of each storage.

After ``torch/serialization.py`` (``_save``, ``_load``). All entries lie in one folder: ``data.pkl``, ``data/<key>``,
``byteorder``, ``version``; a TorchScript archive has ``constants.pkl`` and ``code/`` beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from surgery.formats.additions import MEMBER, RECORD
from surgery.formats.archive import Archive
from surgery.formats.checksums import Summed, of_archive
from surgery.formats.contents import Checkpoint
from surgery.formats.detect import FORMATS, Format
from surgery.formats.file import File, corrupt
from surgery.formats.pickles.arrays import Arrays
from surgery.formats.pickles.machine import Machine, Malformed, reading
from surgery.formats.pickles.stream import InMemory
from surgery.formats.pickles.tensors import Tensors, storage_maker
from surgery.formats.torchscript import add_kinds
from surgery.tensors.expr import ByteRange

__all__ = ["TorchZip"]


@FORMATS.register("torch")
class TorchZip(Format):
    """A file of ``torch.save``, or of ``torch.jit.save``."""

    title: ClassVar[str] = "torch (zip)"

    @classmethod
    def matches(cls, file: File) -> bool:
        return file.archive is not None and any(_is_pickle(name) for name in file.archive.members)

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        archive = file.archive
        assert archive is not None
        folder = _folder(file, archive)
        with reading(file):
            tree, tensors, names = _Reader(file, archive, folder).read()
        name, traits = "torch", tensors.traits
        if f"{folder}constants.pkl" in archive.members:
            name, traits = "torchscript", add_kinds(archive, folder, tree, traits)
        return Checkpoint.of(file, name, tree, metadata=_record(archive, folder), traits=traits, names=names)

    @classmethod
    def checksums(cls, file: File, checkpoint: Checkpoint) -> Iterator[Summed]:
        assert file.archive is not None
        return of_archive(file.archive)


def _is_pickle(name: str) -> bool:
    return name == "data.pkl" or name.endswith("/data.pkl")


def _folder(file: File, archive: Archive) -> str:
    """The folder of all entries, with its slash."""
    found = [name for name in archive.members if _is_pickle(name)]
    if len(found) > 1:
        raise corrupt(file, "it holds several checkpoints", ", ".join(found))
    return found[0].removesuffix("data.pkl")


def _record(archive: Archive, folder: str) -> dict[str, str]:
    """The record of what made the file, as metadata, where it has one."""
    member = archive.members.get(f"{folder}{MEMBER}")
    if member is None:
        return {}
    return {RECORD: archive.content(member, "record").decode(errors="replace")}


class _Reader:
    """Reads one archive."""

    def __init__(self, file: File, archive: Archive, folder: str) -> None:
        self._file = file
        self._archive = archive
        self._folder = folder

    def read(self) -> tuple[Any, Tensors, Collection[tuple[str, str]]]:
        """The tree, what made its tensors, and what the pickle names."""
        member = self._archive.members[f"{self._folder}data.pkl"]
        content = self._archive.content(member, "pickle")
        origin = self._archive.range(member) if member.stored else None
        tensors = Tensors()
        arrays = Arrays(tensors)
        machine = Machine(
            InMemory(content, origin),
            builders={**tensors.builders, **arrays.builders},
            finishers=arrays.finishers,
            persistent=storage_maker(self._place, big_endian=self._big_endian()),
        )
        tree = machine.load_last()
        return tree, tensors, tuple(machine.globals)

    def _big_endian(self) -> bool:
        member = self._archive.members.get(f"{self._folder}byteorder")
        if member is None:
            return False
        order = self._archive.content(member, 16)
        if order not in (b"little", b"big"):
            raise Malformed("its byte order is neither little nor big")
        return order == b"big"

    def _place(self, key: str, nbytes: int) -> ByteRange:
        member = self._archive.members.get(f"{self._folder}data/{key}")
        if member is None:
            raise Malformed(f"its entry `data/{key}`, with the bytes of a tensor, is absent")
        if member.size != nbytes:
            detail = f"{nbytes} are declared, and {member.size} are there"
            raise Malformed(f"its entry `data/{key}` has not as many bytes as its tensor: {detail}")
        return self._archive.range(member)
