"""numpy's ``.npz``: a zip archive with a ``.npy`` file for each array."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from surgery.formats.archive import Archive, Member
from surgery.formats.checksums import Summed, of_archive
from surgery.formats.contents import Blob, Checkpoint, Trait
from surgery.formats.detect import FORMATS, Format
from surgery.formats.file import File
from surgery.formats.npy import ArrayHeader, array_header
from surgery.formats.pickles.arrays import array_in_memory
from surgery.formats.pickles.machine import Malformed, Unsupported, reading
from surgery.limits import exceeded, limits
from surgery.tensors.expr import TensorExpr

__all__ = ["Npz"]

_SUFFIX = ".npy"
_HEADER = 4096


@FORMATS.register("npz")
class Npz(Format):
    """A file of ``numpy.savez`` or ``numpy.savez_compressed``; compressed arrays are read at once, into memory.

    Arrays of objects, texts, dates and records stand beside the tensors, as bytes.
    """

    title: ClassVar[str] = "npz"

    @classmethod
    def matches(cls, file: File) -> bool:
        return (
            file.archive is not None
            and bool(file.archive.members)
            and all(name.endswith(_SUFFIX) for name in file.archive.members)
        )

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        archive = file.archive
        assert archive is not None
        inflated = sum(member.size for member in archive.members.values() if not member.stored)
        if inflated > limits().inflated:
            message = f"`{file.name}`: its compressed arrays would take {inflated} bytes of memory"
            raise exceeded("inflated", message, needed=inflated)
        tree: dict[str, TensorExpr | Blob | bytes] = {}
        with reading(file):
            for name, member in archive.members.items():
                tree[name.removesuffix(_SUFFIX)] = _array(file, archive, member)
        traits = {value: Trait("array") for value in tree.values() if isinstance(value, TensorExpr)}
        return Checkpoint.of(file, "npz", tree, traits=traits)

    @classmethod
    def checksums(cls, file: File, checkpoint: Checkpoint) -> Iterator[Summed]:
        assert file.archive is not None
        return of_archive(file.archive)


def _array(file: File, archive: Archive, member: Member) -> TensorExpr | Blob | bytes:
    """An array; one of objects, texts, dates or records as the bytes of its file."""
    if member.stored:
        whole = archive.range(member)
        header = _header(file.read(whole.offset, min(whole.length, _HEADER)))
        # the checksum is that of the entry, its header included
        return header.tensor(whole.part(header.length, whole.length - header.length)) if header else Blob(whole)
    pieces = archive.chunks(member, "inflated")
    first = next(pieces, b"")
    header = _header(first)
    if header is None:
        return b"".join((first, *pieces))
    assert header.spec is not None, "an array of numbers"
    size = member.size - header.length
    if size != header.spec.nbytes:
        raise Malformed(f"the array `{member.name.removesuffix(_SUFFIX)}` has not as many bytes as it should")
    # one copy in memory: large arrays are compressed because they are large
    raw, at = bytearray(size), 0
    for piece in chain((first[header.length :],), pieces):
        raw[at : at + len(piece)] = piece
        at += len(piece)
    return array_in_memory(header.spec, raw, big_endian=header.big_endian, fortran=header.fortran)


def _header(raw: bytes) -> ArrayHeader | None:
    """The header of an array of numbers; None of another one."""
    try:
        header = array_header(raw)
    except Unsupported:
        return None
    return header if header.spec is not None else None
