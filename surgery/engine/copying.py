"""Bytes from file to file by the cheapest means: shared on disk, copied by the kernel, or read and written.

Sharing (a reflink, ``FICLONERANGE`` of Linux) costs nothing, and happens in whole blocks at offsets that are equal
modulo the block size. The kernel copies (``copy_file_range``) what nobody has to see. What has a checksum, or needs
one, goes through a buffer that fits the processor's cache. Calls that write are kept small: on ext4 of Linux 6.18, one
of a megabyte took up to three times the processor time of sixteen, since the page cache looks for large free pages.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import zlib

from surgery.engine.reading import pread_into, shrunk

__all__ = ["Copier", "write_all"]

_BUFFER = 1 << 20
#: the most that one call writes
_STEP = 1 << 16
_BLOCK = 4096
_FICLONERANGE = 0x4020940D
#: errors that no other way of copying would avoid
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
#: below this, sharing saves nothing
_WORTH = 1 << 16


class Copier:
    """Copies ranges; learns which pairs of file systems share blocks. May be used by several threads."""

    def __init__(self) -> None:
        self._buffers = threading.local()
        self._separate: set[tuple[int, int]] = set()

    def copy(self, source: int, offset: int, target: int, to: int, length: int, path: str) -> int:
        """Copy `length` bytes from `offset` of one file to `to` of another, through a buffer; their CRC-32.

        Raises:
            SurgeryError: code ``source-changed``: the source, named `path` in messages, ends before.
            OSError: the target cannot be written.
        """
        buffer = getattr(self._buffers, "view", None)
        if buffer is None:
            buffer = self._buffers.view = memoryview(bytearray(_BUFFER))
        crc = 0
        while length:
            count = pread_into(source, buffer[: min(length, _BUFFER)], offset, path)
            window = buffer[:count]
            crc = zlib.crc32(window, crc)
            write_all(target, window, to)
            offset, to, length = offset + count, to + count, length - count
        return crc

    def move(self, source: int, offset: int, target: int, to: int, length: int, path: str) -> None:
        """Copy `length` bytes as `copy` does, without seeing them.

        Raises:
            SurgeryError: code ``source-changed``: the source, named `path` in messages, ends before.
            OSError: the target cannot be written.
        """
        copy_file_range = getattr(os, "copy_file_range", None)
        if copy_file_range is None:
            self.copy(source, offset, target, to, length, path)
            return
        while length:
            try:
                count = copy_file_range(source, target, min(length, 2 * _STEP), offset, to)
            except OSError as error:
                if error.errno in _FULL:
                    raise
                # of other file systems, or of none that the kernel copies between
                self.copy(source, offset, target, to, length, path)
                return
            if not count:
                raise shrunk(path, offset)
            offset, to, length = offset + count, to + count, length - count

    def share(self, source: int, offset: int, target: int, to: int, length: int) -> tuple[int, int]:
        """Let two files share as much of a range as can be: how many bytes before it, and how many in it.

        ``(0, 0)`` where they cannot.
        """
        before = -to % _BLOCK
        blocks = (length - before) // _BLOCK * _BLOCK
        if (offset - to) % _BLOCK or blocks < _WORTH:
            return 0, 0
        pair = (os.fstat(source).st_dev, os.fstat(target).st_dev)
        if pair in self._separate:
            return 0, 0
        try:
            fcntl.ioctl(target, _FICLONERANGE, struct.pack("qQQQ", source, offset + before, blocks, to + before))
        except OSError as error:
            if error.errno in _FULL:
                raise
            self._separate.add(pair)
            return 0, 0
        return before, blocks


def write_all(descriptor: int, content: memoryview | bytes, offset: int) -> None:
    """Write all of `content` at `offset`, however many calls that takes.

    Raises:
        OSError: it cannot be written.
    """
    view = memoryview(content)
    while view:
        count = os.pwrite(descriptor, view[:_STEP], offset)
        view, offset = view[count:], offset + count
