"""Bytes that a pickle is read from: a part of a file, or bytes in memory."""

from __future__ import annotations

from typing import Protocol

from surgery.formats.file import File
from surgery.tensors.expr import ByteRange

__all__ = ["InFile", "InMemory", "Stream"]


class Stream(Protocol):
    """Something with bytes, read from any place."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end."""

    def locate(self, offset: int, length: int) -> ByteRange | None:
        """Where these bytes stand in a file; None where they stand in none."""


class InFile:
    """`size` bytes of a file from `start`."""

    def __init__(self, file: File, start: int = 0, size: int | None = None) -> None:
        self._file = file
        self._start = start
        self.size = file.size - start if size is None else size

    def read(self, offset: int, length: int) -> bytes:
        return self._file.read(self._start + offset, max(0, min(length, self.size - offset)))

    def locate(self, offset: int, length: int) -> ByteRange | None:
        return self._file.locate(self._start + offset, length)


class InMemory:
    """Bytes in memory; `origin` is where they were read from, if they stand in a file as they are."""

    def __init__(self, data: bytes, origin: ByteRange | None = None) -> None:
        self._data = data
        self._origin = origin
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def locate(self, offset: int, length: int) -> ByteRange | None:
        origin = self._origin
        return origin and ByteRange(origin.path, origin.offset + offset, length)
