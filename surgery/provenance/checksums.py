"""The checksums in a checkpoint: those of its format, and those that Surgery adds to safetensors."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from surgery.engine.reading import SourceFiles
from surgery.formats import Checkpoint, read
from surgery.formats.additions import CHECKSUMS
from surgery.formats.archive import Archive, Member
from surgery.formats.file import open_file
from surgery.provenance.structure import tensors_in
from surgery.tensors.expr import Stored, Strided

__all__ = ["Checked", "check_contents"]

#: formats whose files are zip archives as a whole
_ARCHIVES = ("torch", "torchscript", "npz")


class Checked(NamedTuple):
    """Some bytes that had a checksum: what they are, how many, and whether they are as they were."""

    name: str
    size: int
    ok: bool


def check_contents(checkpoint: Checkpoint) -> Iterator[Checked]:
    """Everything in a checkpoint that has a checksum, read and compared.

    Raises:
        SurgeryError: code ``source-changed``: a file changed since `checkpoint` was read.
    """
    with SourceFiles(checkpoint.files) as files:
        yield from _checked(checkpoint, files)


def _checked(checkpoint: Checkpoint, files: SourceFiles) -> Iterator[Checked]:
    if checkpoint.format in _ARCHIVES:
        yield from _of_archive(checkpoint, files)
    elif checkpoint.format in ("safetensors", "sharded-safetensors"):
        for path in checkpoint.files:
            # an index has none; its shards are read one by one, since each has its own
            if not path.endswith(".json"):
                yield from _of_safetensors(read(path), files)
    else:
        for key, expr in tensors_in(checkpoint.tree):
            pieces = expr.ranges if isinstance(expr, Stored) else [expr.storage] if isinstance(expr, Strided) else ()
            for piece in pieces:
                if piece.crc is not None:
                    yield Checked(".".join(key), piece.length, files.checksum(piece) == piece.crc)


def _of_archive(checkpoint: Checkpoint, files: SourceFiles) -> Iterator[Checked]:
    for path in checkpoint.files:
        with open_file(Path(path), os.path.basename(path)) as file:
            archive = file.archive
            assert archive is not None, "the file was read as one"
            for member in archive.members.values():
                if member.crc is not None:
                    yield Checked(member.name, member.size, _member_crc(archive, member, files) == member.crc)


def _member_crc(archive: Archive, member: Member, files: SourceFiles) -> int:
    if member.stored:
        return files.checksum(archive.range(member))
    return zlib.crc32(archive.content(member, "inflated"))


def _of_safetensors(checkpoint: Checkpoint, files: SourceFiles) -> Iterator[Checked]:
    digits = checkpoint.metadata.get(CHECKSUMS)
    if digits is None:
        return
    tensors = {id(expr): (key, expr) for key, expr in reversed(checkpoint.tree.items())}
    stored = [(key, expr) for key, expr in checkpoint.tree.items() if tensors[id(expr)][0] == key]
    if not re.fullmatch(r"([0-9a-f]{8})*", digits) or len(digits) != 8 * len(stored):
        # another program wrote other tensors, and took the metadata along
        yield from (Checked(key, expr.spec.nbytes, False) for key, expr in stored)
        return
    for number, (key, expr) in enumerate(stored):
        crc = 0
        for piece in expr.ranges:
            crc = files.checksum(piece, crc)
        yield Checked(key, expr.spec.nbytes, crc == int(digits[8 * number : 8 * number + 8], 16))
