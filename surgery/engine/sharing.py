"""Blocks that two files share on the disk instead of being copied: a reflink, ``FICLONERANGE`` of Linux.

It costs nothing, whatever the size, and happens in whole blocks at offsets that are equal modulo the block size; sinks
lay out large tensors accordingly (`surgery.sinks.blocks`). Btrfs, XFS, bcachefs and NFS 4.2 can do it.
"""

from __future__ import annotations

import fcntl
import os
import struct

from surgery.files.failures import UNAVOIDABLE
from surgery.files.writer import BLOCK

__all__ = ["Sharing"]

_FICLONERANGE = 0x4020940D
#: below this, sharing saves nothing
_WORTH = 1 << 16


class Sharing:
    """Shares ranges; learns which pairs of file systems cannot, and asks those no more."""

    def __init__(self) -> None:
        self._separate: set[tuple[int, int]] = set()

    def share(self, source: int, offset: int, target: int, to: int, length: int) -> tuple[int, int]:
        """Let two files share as much of a range as can be: how many bytes before it, and how many in it.

        ``(0, 0)`` where they cannot.

        Raises:
            OSError: the target's file system is full, or fails.
        """
        before = -to % BLOCK
        blocks = (length - before) // BLOCK * BLOCK
        if (offset - to) % BLOCK or blocks < _WORTH:
            return 0, 0
        pair = (os.fstat(source).st_dev, os.fstat(target).st_dev)
        if pair in self._separate:
            return 0, 0
        try:
            fcntl.ioctl(target, _FICLONERANGE, struct.pack("qQQQ", source, offset + before, blocks, to + before))
        except OSError as error:
            if error.errno in UNAVOIDABLE:
                raise
            self._separate.add(pair)
            return 0, 0
        return before, blocks
