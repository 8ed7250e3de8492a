"""A part of a file as a file of its own."""

from __future__ import annotations

from surgery.formats.file import File
from surgery.tensors.expr import ByteRange

__all__ = ["Section"]

#: what is read at once where a section is no longer than that, in bytes
_SMALL = 1 << 16


class Section(File):
    """`size` bytes of an open file from `start`, called `name` in messages; it can be read as long as `whole` can.

    Attributes:
        content: all its bytes, where they are few.
    """

    def __init__(self, whole: File, name: str, start: int, size: int) -> None:
        super().__init__(-1, whole.path, name, size, whole.state)
        self._whole = whole
        self._start = start
        self.content = whole.read(start, size) if size <= _SMALL else None

    def read(self, offset: int, length: int) -> bytes:
        if self.content is not None:
            return self.content[offset : offset + length]
        return self._whole.read(self._start + offset, max(0, min(length, self.size - offset)))

    def locate(self, offset: int, length: int, crc: int | None = None) -> ByteRange:
        return self._whole.locate(self._start + offset, length, crc)
