"""Source files, opened once and kept open, so that what a plan reads is not swapped under it; never mapped."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from surgery.diagnostics import SurgeryError, fail
from surgery.tensors.expr import ByteRange
from surgery.tensors.state import FileState, gone, refuse_changed

__all__ = ["SourceFiles", "damaged"]

#: the most that one call reads, so that an interruption is not kept waiting
_PIECE = 64 << 20
#: what is read at a time where a checksum is wanted, so that it is still in the processor's cache
_STEP = 1 << 20


class SourceFiles:
    """The files that byte ranges name. May be used by several threads.

    Args:
        states: what files were when their headers were read.
    """

    def __init__(self, states: Mapping[str, FileState] | None = None) -> None:
        self._states = dict(states or {})
        self._open: dict[str, int] = {}
        self._lock = threading.Lock()
        self._guards: dict[ByteRange, threading.Lock] = {}
        self._sound: set[ByteRange] = set()

    def descriptor(self, path: str) -> int:
        """The open file.

        Raises:
            SurgeryError: code ``source-changed``: it is not there any more, or not what it was.
        """
        with self._lock:
            if path not in self._open:
                self._open[path] = self._opened(path)
            return self._open[path]

    def _opened(self, path: str) -> int:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise gone(path, error) from error
        try:
            now = FileState.of(os.fstat(descriptor))
            refuse_changed(path, self._states.setdefault(path, now), now)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def refuse_written(self) -> None:
        """Whether nobody wrote into the files until now, so that what was read is of one state of them.

        Raises:
            SurgeryError: code ``source-changed``: somebody did.
        """
        with self._lock:
            for path, descriptor in self._open.items():
                refuse_changed(path, self._states[path], FileState.of(os.fstat(descriptor)))

    def read_into(self, piece: ByteRange, view: memoryview) -> None:
        """Fill `view`, as long as the range, with its bytes, and check them against its CRC-32 where it is known.

        Raises:
            SurgeryError: codes ``source-changed`` and ``corrupt-checkpoint``.
        """
        assert len(view) == piece.length, "a range is read whole"
        if piece.whole is not None:
            self.check(piece.whole)
        crc = self.read_part(piece, 0, view, summed=piece.crc is not None)
        if piece.crc is not None and crc != piece.crc:
            raise damaged(piece)

    def read_part(self, piece: ByteRange, start: int, view: memoryview, *, summed: bool, crc: int = 0) -> int:
        """Fill `view` with the bytes of a range from its byte `start`, and compare them with nothing.

        Args:
            summed: whether the CRC-32 is wanted.
            crc: that of what was read before.

        Returns:
            The CRC-32 of what was read before and of these bytes; `crc` where it is not wanted.

        Raises:
            SurgeryError: code ``source-changed``.
        """
        descriptor, offset = self.descriptor(piece.path), piece.offset + start
        while view:
            window = view[: _STEP if summed else _PIECE]
            count = _read_into(descriptor, window, offset, piece.path)
            if summed:
                crc = zlib.crc32(window[:count], crc)
            view, offset = view[count:], offset + count
        return crc

    def read_all(self, ranges: Iterable[ByteRange], view: memoryview) -> None:
        """Fill `view` with the bytes of `ranges`, one after the other, as `read_into` does."""
        at = 0
        for piece in ranges:
            self.read_into(piece, view[at : at + piece.length])
            at += piece.length

    def chunks(self, ranges: Iterable[ByteRange], buffer: memoryview) -> Iterator[memoryview]:
        """The bytes of `ranges`, in order, always a `buffer` full but for the last; each is valid until the next.

        Raises:
            SurgeryError: codes ``source-changed`` and ``corrupt-checkpoint``.
        """
        filled = 0
        for piece in ranges:
            if piece.whole is not None:
                self.check(piece.whole)
            at, crc = 0, 0
            while at < piece.length:
                window = buffer[filled : filled + piece.length - at]
                crc = self.read_part(piece, at, window, summed=piece.crc is not None, crc=crc)
                at, filled = at + len(window), filled + len(window)
                if filled == len(buffer):
                    yield buffer
                    filled = 0
            if piece.crc is not None and crc != piece.crc:
                raise damaged(piece)
        if filled:
            yield buffer[:filled]

    def checksum(self, piece: ByteRange, crc: int = 0) -> int:
        """The CRC-32 of what was read before, whose own is `crc`, and of the bytes of a range.

        Raises:
            SurgeryError: code ``source-changed``.
        """
        memory = memoryview(bytearray(_STEP))
        for at in range(0, piece.length, _STEP):
            crc = self.read_part(piece, at, memory[: piece.length - at], summed=True, crc=crc)
        return crc

    def check(self, whole: ByteRange) -> None:
        """Compare a range that has a CRC-32 with it: once, however many parts of it are read.

        Raises:
            SurgeryError: codes ``source-changed`` and ``corrupt-checkpoint``.
        """
        with self._lock:
            guard = self._guards.setdefault(whole, threading.Lock())
        with guard:
            if whole in self._sound:
                return
            if self.checksum(whole) != whole.crc:
                raise damaged(whole)
            self._sound.add(whole)

    def expect(self, piece: ByteRange, start: int, length: int) -> None:
        """Let a part of a range be read from the disk ahead; a hint, which promises nothing."""
        advise = getattr(os, "posix_fadvise", None)
        if advise is not None:
            with suppress(OSError):
                advise(self.descriptor(piece.path), piece.offset + start, length, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_into(descriptor: int, window: memoryview, offset: int, path: str) -> int:
    """Read at least one byte from `offset` into `window`; how many.

    Raises:
        SurgeryError: code ``source-changed``: the file ends there, or cannot be read.
    """
    try:
        count = os.preadv(descriptor, [window], offset)
    except OSError as error:
        raise fail("source-changed", f"`{path}` cannot be read: {error.strerror}", cause=error) from error
    if count == 0:
        raise fail("source-changed", f"`{path}` ends at byte {offset} now: it was cut while it was read")
    return count


def damaged(piece: ByteRange) -> SurgeryError:
    """The error about bytes that are not what their checksum says."""
    where = f"{piece.length} bytes from byte {piece.offset}"
    note = "the CRC-32 of the file is not that of its data: it was damaged after it was written"
    return fail("corrupt-checkpoint", f"`{piece.path}`: {where} are damaged", notes=(note,))
