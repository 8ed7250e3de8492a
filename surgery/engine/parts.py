"""What stands in a file, part by part, and the windows of a file in which neighbours are gathered to be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from surgery.engine.checksum import combine
from surgery.engine.reading import damaged
from surgery.tensors.expr import ByteRange

__all__ = ["Copy", "Part", "windows"]


@dataclass(slots=True)
class Copy:
    """A range on its way to byte `to` of a file.

    Attributes:
        parts: where a part begins in the range -> its CRC-32 and its length, as far as they were computed. What is
            shared on disk is never seen, and has no part.
    """

    piece: ByteRange
    to: int
    parts: dict[int, tuple[int, int]] = field(default_factory=dict)

    def checked(self) -> int | None:
        """The CRC-32 of the range, None where its bytes were never seen and it was not known.

        Raises:
            SurgeryError: code ``corrupt-checkpoint``: it is not what it was.
        """
        if sum(length for _, length in self.parts.values()) < self.piece.length:
            return self.piece.crc
        found = combine(crc for _, crc in sorted(self.parts.items())) if len(self.parts) > 1 else self.parts[0][0]
        if self.piece.crc is not None and found != self.piece.crc:
            raise damaged(self.piece)
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """`length` bytes for a file, from byte `to`: known ones, or those of a range from its byte `start`.

    Attributes:
        source: bytes that are known, or the copy that they belong to.
    """

    to: int
    length: int
    source: bytes | Copy
    start: int = 0


def windows(parts: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """Runs of parts that follow each other without a gap, cut at multiples of `size` bytes of the file.

    Args:
        parts: in the order of the file.

    >>> [[(p.to, p.length) for p in w] for w in windows([Part(0, 6, b""), Part(6, 5, b""), Part(12, 1, b"")], 8)]
    [[(0, 6), (6, 2)], [(8, 3)], [(12, 1)]]
    """
    window: list[Part] = []
    for part in parts:
        for piece in _cut(part, size):
            last = window[-1] if window else None
            if last is not None and (last.to + last.length != piece.to or piece.to % size == 0):
                yield window
                window = []
            window.append(piece)
    if window:
        yield window


def _cut(part: Part, size: int) -> Iterator[Part]:
    """A part in pieces that end at multiples of `size` bytes of the file."""
    at = 0
    while at < part.length:
        length = min(part.length - at, size - (part.to + at) % size)
        yield Part(part.to + at, length, part.source, part.start + at)
        at += length
