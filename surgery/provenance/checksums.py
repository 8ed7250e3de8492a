"""The checksums in a checkpoint, compared with what is there: those of its format, and those that Surgery adds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from surgery.engine.reading import SourceFiles
from surgery.formats import Checkpoint
from surgery.formats.checksums import Summed
from surgery.formats.detect import format_of
from surgery.formats.file import open_file

__all__ = ["Checked", "check_contents"]


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
    with open_file(Path(checkpoint.path), checkpoint.shown) as file, SourceFiles(checkpoint.files) as files:
        for one in format_of(file).checksums(file, checkpoint):
            yield Checked(one.name, one.size, one.crc is not None and _crc(one, files) == one.crc)


def _crc(one: Summed, files: SourceFiles) -> int:
    if one.unpacked is not None:
        return one.unpacked()
    crc = 0
    for piece in one.ranges:
        crc = files.checksum(piece, crc)
    return crc
