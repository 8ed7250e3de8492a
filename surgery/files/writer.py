"""Bytes into an open file, at any offset, by several threads: the large pieces past the page cache.

Through the page cache, what is written is copied once more, pages have to be found for it, and all of it waits for the
disk in the last ``fsync``: on the machine of the benchmarks that costs up to six times as much as the disk takes, and
pushes what was cached out of memory. ``O_DIRECT`` hands whole blocks from aligned memory to the disk (``man 2 open``);
edges, small pieces, and file systems that cannot do it go through the cache as usual.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from surgery.files.allocation import allocate
from surgery.files.writeback import begin_writeback

__all__ = ["BLOCK", "DIRECT_FILE", "FileWriter", "write_all"]

#: the blocks of file systems: what goes past the page cache begins and ends at multiples of this, in the file and in
#: memory, and so does what two files share
BLOCK = 4096
#: files smaller than this are better left in the page cache, where their reader finds them
DIRECT_FILE = 32 << 20
#: below this, waiting for the disk costs more than a copy
_DIRECT_PIECE = 256 << 10
#: calls through the cache are kept small: on ext4 of Linux 6.18, one of a megabyte took up to three times the processor
#: time of sixteen, since the page cache looks for large free pages
_STEP = 1 << 16


class FileWriter:
    """Writes into a file that somebody else opened and closes.

    Args:
        descriptor: the file, open for reading and writing.
        size: what it will have in the end, in bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._direct = _reopened(descriptor) if size >= DIRECT_FILE else None

    def write(self, content: memoryview | bytes, offset: int) -> None:
        """Write all of `content` at `offset`.

        Whole blocks go past the page cache if `content` lies in memory as it will in the file, modulo `BLOCK`.

        Raises:
            OSError: it cannot be written.
        """
        view = memoryview(content)
        first = -offset % BLOCK
        last = max(first, len(view) - (offset + len(view)) % BLOCK)
        if self._direct is None or last - first < _DIRECT_PIECE:
            self._write(view, offset)
            return
        allocate(self._descriptor, offset + first, last - first)
        self._write(view[:first], offset)
        done = first + self._write_directly(view[first:last], offset + first)
        self._write(view[done:], offset + done)

    def _write(self, view: memoryview, offset: int) -> None:
        write_all(self._descriptor, view, offset)
        begin_writeback(self._descriptor, offset, len(view))

    def _write_directly(self, view: memoryview, offset: int) -> int:
        """How many bytes could be written past the cache: all of them as a rule."""
        done = 0
        while done < len(view) and done % BLOCK == 0 and self._direct is not None:
            try:
                done += os.pwrite(self._direct, view[done:], offset + done)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # the file system, or the memory, wants another alignment
                return done
        return done

    def close(self) -> None:
        """Close what this opened itself."""
        if self._direct is not None:
            os.close(self._direct)
            self._direct = None


def write_all(descriptor: int, view: memoryview, offset: int) -> None:
    """Write all of `view` at `offset`, through the page cache.

    Raises:
        OSError: it cannot be written.
    """
    while view:
        count = os.pwrite(descriptor, view[:_STEP], offset)
        view, offset = view[count:], offset + count


def _reopened(descriptor: int) -> int | None:
    """The same file, open for writing past the cache, where that is possible."""
    direct = getattr(os, "O_DIRECT", None)
    if direct is None:
        return None
    with suppress(OSError):
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_CLOEXEC | direct)
    return None
