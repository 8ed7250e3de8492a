"""What of a checkpoint has a checksum, which its format tells: `surgery.formats.detect.Format.checksums`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from surgery.formats.nodes import tensors_in
from surgery.tensors.expr import ByteRange, Stored, Strided

if TYPE_CHECKING:
    from surgery.formats.archive import Archive, Member

__all__ = ["Summed", "of_archive", "of_tensors"]


@dataclass(frozen=True, slots=True)
class Summed:
    """Bytes that have a CRC-32.

    Attributes:
        name: what they are: a tensor, or an entry of an archive.
        size: how many.
        crc: their CRC-32 as it was written; None where that is the one of something else.
        ranges: where they are, one range after the other.
        unpacked: computes their CRC-32, where they are compressed.
    """

    name: str
    size: int
    crc: int | None
    ranges: tuple[ByteRange, ...] = ()
    unpacked: Callable[[], int] | None = None


def of_tensors(tree: Any) -> Iterator[Summed]:
    """The ranges of the tensors in the tree of a checkpoint that have one."""
    for path, expr in tensors_in(tree):
        pieces = expr.ranges if isinstance(expr, Stored) else (expr.storage,) if isinstance(expr, Strided) else ()
        for piece in pieces:
            if piece.crc is not None:
                yield Summed(".".join(path), piece.length, piece.crc, (piece,))


def of_archive(archive: Archive) -> Iterator[Summed]:
    """The entries of a zip archive that have one."""
    for member in archive.members.values():
        if member.crc is None:
            continue
        if member.stored:
            yield Summed(member.name, member.size, member.crc, (archive.range(member),))
        else:
            yield Summed(member.name, member.size, member.crc, unpacked=partial(_unpacked, archive, member))


def _unpacked(archive: Archive, member: Member) -> int:
    crc = 0
    for piece in archive.chunks(member, "inflated"):
        crc = zlib.crc32(piece, crc)
    return crc
