"""Zip archives of uncompressed entries whose sizes are known before: after PKWARE's APPNOTE, sections 4.3 to 4.5.

An entry of more than 4 GiB, or beyond the first 4 GiB of the file, has its sizes and offset in a zip64 field. Dates are
those of the epoch of the format.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Member", "directory", "local_header"]

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_MOST32, _MOST16 = 0xFFFFFFFF, 0xFFFF
_VERSION, _VERSION64 = 20, 45
_UTF8 = 0x800
_EPOCH = 1 << 5 | 1  # the first of January 1980
_ZIP64 = 1
#: the field in which torch pads local headers; readers skip it
_PADDING = struct.unpack("<H", b"FB")[0]


@dataclass(frozen=True, slots=True)
class Member:
    """An entry: its name, where its local header stands, its size in bytes, and the CRC-32 of its content.

    Its content begins `remainder` bytes behind a multiple of `alignment`.
    """

    name: str
    offset: int
    size: int
    alignment: int
    crc: int = 0
    remainder: int = 0

    @property
    def start(self) -> int:
        """Where its content begins: the next such place with room for a padding field of any length."""
        least = self.offset + _LOCAL.size + len(self.name.encode()) + len(self._sizes64()) + 4
        return least + (self.remainder - least) % self.alignment

    @property
    def end(self) -> int:
        """Where the next entry begins."""
        return self.start + self.size

    def with_crc(self, crc: int) -> Member:
        """The same entry with the CRC-32 of its content."""
        return dataclasses.replace(self, crc=crc)

    def _sizes64(self) -> bytes:
        return struct.pack("<2H2Q", _ZIP64, 16, self.size, self.size) if self.size >= _MOST32 else b""


def local_header(member: Member) -> bytes:
    """What stands before the content of an entry."""
    name, sizes = member.name.encode(), member._sizes64()
    padding = member.start - member.offset - _LOCAL.size - len(name) - len(sizes) - 4
    extra = sizes + struct.pack("<2H", _PADDING, padding) + b"Z" * padding
    size = min(member.size, _MOST32)
    version = _VERSION64 if sizes else _VERSION
    fixed = (version, _UTF8, 0, 0, _EPOCH, member.crc, size, size, len(name), len(extra))
    return _LOCAL.pack(b"PK\x03\x04", *fixed) + name + extra


def directory(members: Sequence[Member]) -> bytes:
    """What stands behind the last entry; as long with checksums as without."""
    headers = b"".join(map(_central_header, members))
    at = members[-1].end
    count, size = len(members), len(headers)
    end64 = b""
    if count >= _MOST16 or size >= _MOST32 or at >= _MOST32:
        record = _END64.pack(b"PK\x06\x06", _END64.size - 12, _VERSION64, _VERSION64, 0, 0, count, count, size, at)
        end64 = record + _LOCATOR64.pack(b"PK\x06\x07", 0, at + size, 1)
    few = min(count, _MOST16)
    end = _END.pack(b"PK\x05\x06", 0, 0, few, few, min(size, _MOST32), min(at, _MOST32), 0)
    return headers + end64 + end


def _central_header(member: Member) -> bytes:
    name = member.name.encode()
    large, far = member.size >= _MOST32, member.offset >= _MOST32
    numbers = ([member.size, member.size] if large else []) + ([member.offset] if far else [])
    extra = struct.pack(f"<2H{len(numbers)}Q", _ZIP64, 8 * len(numbers), *numbers) if numbers else b""
    version = _VERSION64 if numbers else _VERSION
    size = min(member.size, _MOST32)
    fixed = (version, version, _UTF8, 0, 0, _EPOCH, member.crc, size, size, len(name), len(extra), 0, 0, 0, 0)
    return _CENTRAL.pack(b"PK\x01\x02", *fixed, min(member.offset, _MOST32)) + name + extra
