"""numpy's ``.npz``: a zip archive with a ``.npy`` file for each array."""

from __future__ import annotations

from typing import ClassVar

from surgery.formats.archive import Archive, Member
from surgery.formats.contents import Checkpoint, Trait
from surgery.formats.detect import FORMATS, Format
from surgery.formats.file import File
from surgery.formats.npy import array_header
from surgery.formats.pickles.arrays import array_in_memory
from surgery.formats.pickles.machine import Malformed, Unsupported, reading
from surgery.limits import exceeded, limits
from surgery.tensors.expr import ByteRange, TensorExpr

__all__ = ["Npz"]

_SUFFIX = ".npy"
_HEADER = 4096


@FORMATS.register("npz")
class Npz(Format):
    """A file of ``numpy.savez`` or ``numpy.savez_compressed``; compressed arrays are read at once, into memory."""

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
        tree: dict[str, TensorExpr] = {}
        with reading(file):
            for name, member in archive.members.items():
                tree[name.removesuffix(_SUFFIX)] = _array(file, archive, member)
        traits = dict.fromkeys(tree.values(), Trait("array"))
        return Checkpoint(file.path, "npz", tree, {}, {file.path: file.size}, traits, file.name)


def _array(file: File, archive: Archive, member: Member) -> TensorExpr:
    if member.stored:
        whole = archive.range(member)
        header = array_header(file.read(whole.offset, min(whole.length, _HEADER)))
    else:
        content = archive.content(member, "inflated")
        header = array_header(content)
    if header.spec is None:
        raise Unsupported(f"the array `{member.name.removesuffix(_SUFFIX)}` holds objects, not numbers")
    if member.stored:
        return header.tensor(ByteRange(whole.path, whole.offset + header.length, whole.length - header.length))
    raw = content[header.length :]
    if len(raw) != header.spec.nbytes:
        raise Malformed(f"the array `{member.name.removesuffix(_SUFFIX)}` has not as many bytes as it should")
    return array_in_memory(header.spec, raw, big_endian=header.big_endian, fortran=header.fortran)
