"""One object as a zip archive of torch, laid out from any byte of a file.

After ``torch/serialization.py`` (``_save``): all entries lie in one folder, uncompressed, the bytes of each storage on
a multiple of 64 (those of a large one where the disk could share its blocks with the source). The folder is always
named the same, and what names a moment or a machine is left out, so that equal contents are equal files. Checksums
that the source knew are kept, the others are computed while the bytes go by.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surgery.files.writer import BLOCK
from surgery.sinks.blocks import remainder
from surgery.sinks.layout import Block
from surgery.sinks.pickles.tensors import PickledStorage
from surgery.sinks.pickles.zip import Member, directory, local_header

__all__ = ["TorchArchive", "archive_of"]

_FOLDER = "archive"
_ALIGNMENT = 64


@dataclass(frozen=True, slots=True, eq=False)
class TorchArchive:
    """An archive: what is known of it, and where each storage will stand.

    Attributes:
        start: the byte of the file at which it begins.
        end: the byte behind it.
        blocks: the entries whose content is known, with their headers.
        places: for each storage, the byte of the file at which it begins.
    """

    start: int
    end: int
    blocks: tuple[Block, ...]
    places: tuple[int, ...]
    _known: tuple[Member, ...]
    _stored: tuple[Member, ...]

    def closing(self, checksums: Sequence[int]) -> tuple[Block, ...]:
        """What depends on the CRC-32 of each storage: their headers, and the directory."""
        done = [member.with_crc(crc) for member, crc in zip(self._stored, checksums, strict=True)]
        headers = [Block(self.start + member.offset, local_header(member)) for member in done]
        last = directory([*self._known, *done])
        return (*headers, Block(self.end - len(last), last))


def archive_of(
    pickle: bytes, storages: Sequence[PickledStorage], start: int = 0, more: Mapping[str, bytes] | None = None
) -> TorchArchive:
    """The archive of a pickle and the storages that it refers to, from byte `start`; `more` are further small files."""
    contents = {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n", **(more or {})}
    blocks: list[Block] = []
    known: list[Member] = []
    at = 0
    for name, content in contents.items():
        member = Member(f"{_FOLDER}/{name}", at, len(content), _ALIGNMENT, zlib.crc32(content))
        blocks.append(Block(start + at, local_header(member) + content))
        known.append(member)
        at = member.end
    stored: list[Member] = []
    for storage in storages:
        place_in_block = remainder(storage.expr, _ALIGNMENT)
        alignment = _ALIGNMENT if place_in_block is None else BLOCK
        inside = ((place_in_block or 0) - start) % alignment
        name = f"{_FOLDER}/data/{storage.key}"
        stored.append(Member(name, at, storage.expr.spec.nbytes, alignment, remainder=inside))
        at = stored[-1].end
    end = start + at + len(directory([*known, *stored]))
    places = tuple(start + member.start for member in stored)
    return TorchArchive(start, end, tuple(blocks), places, tuple(known), tuple(stored))
