"""Zip archives, as torch and numpy write them: the central directory, read strictly, and where each entry's bytes lie.

After PKWARE's APPNOTE, sections 4.3 and 4.4. Stricter than common readers, since what two readers understand
differently can hide something: no two entries of one name, no entries that overlap, no bytes behind the end record, the
local header of an entry agrees with the directory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from surgery.diagnostics import fail
from surgery.formats.file import File, corrupt
from surgery.limits import exceeded, limits
from surgery.tensors.expr import ByteRange

__all__ = ["Archive", "Member", "read_archive"]

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
# what is not looked at (versions, times, attributes) is skipped
_CENTRAL = struct.Struct("<4s4x2H4x3L3H8xL")
_LOCAL = struct.Struct("<4s4xH16x2H")
_STORED, _DEFLATED = 0, 8
#: bytes of an entry that are decompressed, and those that are made, at a time
_PIECE = 1 << 20
_ENCRYPTED = 0x1
_PACKED = "its bytes cannot be used as they stand; `torch.load` and `torch.save` make a file without compression of it"
#: bytes that may stand between the end of an entry and what follows: nothing, or a data descriptor
_DESCRIPTORS = (0, 12, 16, 20, 24)


@dataclass(frozen=True, slots=True)
class Member:
    """An entry: its name, where its local header stands, its sizes in bytes, and the CRC-32 of its content.

    `crc` is None where it was not computed, which writers say with 0.
    """

    name: str
    header: int
    packed: int
    size: int
    method: int
    crc: int | None

    @property
    def stored(self) -> bool:
        """Whether its bytes stand in the file as they are."""
        return self.method == _STORED


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """The entries of a zip archive, in the order of its directory, and where each of them must have ended."""

    file: File
    members: dict[str, Member]
    ends: dict[str, int]

    def place(self, member: Member) -> int:
        """Where the bytes of an entry begin in the file.

        Raises:
            SurgeryError: its local header does not agree with the directory.
        """
        name = member.name.encode()
        raw = self.file.read(member.header, _LOCAL.size + len(name))
        if len(raw) < _LOCAL.size or raw[:4] != b"PK\x03\x04":
            raise corrupt(self.file, f"the entry `{member.name}` has no header of its own")
        _, method, name_length, extra_length = _LOCAL.unpack_from(raw)
        if name_length != len(name) or raw[_LOCAL.size :] != name or method != member.method:
            raise corrupt(self.file, f"the header of the entry `{member.name}` and the directory do not agree")
        start: int = member.header + _LOCAL.size + name_length + extra_length
        if self.ends[member.name] - (start + member.packed) not in _DESCRIPTORS:
            raise corrupt(self.file, f"the entry `{member.name}` does not lie between its neighbours")
        return start

    def range(self, member: Member) -> ByteRange:
        """The bytes of a stored entry.

        Raises:
            SurgeryError: it is compressed, or is not where the directory says.
        """
        if not member.stored:
            message = f"`{self.file.name}`: the entry `{member.name}` is compressed"
            raise fail("unsupported-checkpoint", message, notes=[_PACKED])
        return self.file.locate(self.place(member), member.size, member.crc)

    def content(self, member: Member, limit: str | int) -> bytes:
        """The content of an entry, decompressed where it has to be, its CRC checked.

        Raises:
            SurgeryError: it is longer than the limit of this name, or than so many bytes; or it is damaged.
        """
        return b"".join(self.chunks(member, limit))

    def chunks(self, member: Member, limit: str | int) -> Iterator[bytes]:
        """The same in pieces, so that what is decompressed lies in memory once; of a stored entry there is one.

        Raises:
            SurgeryError: as `content`; that it is damaged, behind the last piece.
        """
        said = f"the entry `{member.name}` says that it holds {member.size} bytes"
        if isinstance(limit, str) and member.size > getattr(limits(), limit):
            raise exceeded(limit, f"`{self.file.name}`: {said}", needed=member.size)
        if isinstance(limit, int) and member.size > limit:
            raise corrupt(self.file, said, f"in a sound file it holds {limit} at most")
        start = self.place(member)
        pieces = iter([self.file.read(start, member.packed)]) if member.stored else self._inflated(member, start)
        length = crc = 0
        for piece in pieces:
            length += len(piece)
            if length > member.size:
                raise corrupt(self.file, f"the entry `{member.name}` is longer than the directory says")
            crc = zlib.crc32(piece, crc)
            yield piece
        if length != member.size:
            raise corrupt(self.file, f"the entry `{member.name}` is not as long as the directory says")
        if member.crc is not None and crc != member.crc:
            raise corrupt(self.file, f"the entry `{member.name}` is damaged", "its CRC-32 is not what it was")

    def _inflated(self, member: Member, start: int) -> Iterator[bytes]:
        if member.method != _DEFLATED:
            message = f"`{self.file.name}`: the entry `{member.name}` is compressed by method {member.method}"
            raise fail("unsupported-checkpoint", message)
        stream = zlib.decompressobj(-15)
        end = start + member.packed
        packed = b""
        while not stream.eof:
            if not packed:
                packed = self.file.read(start, min(_PIECE, end - start))
                start += len(packed)
            given = len(packed)
            try:
                piece = stream.decompress(packed, _PIECE)
            except zlib.error as error:
                raise corrupt(self.file, f"the entry `{member.name}` is damaged", cause=error) from error
            packed = stream.unconsumed_tail
            if not given and not piece:
                return  # it ends too early, as its length tells
            yield piece
        if stream.unused_data or start != end:
            raise corrupt(self.file, f"the entry `{member.name}` is longer than the directory says")


def read_archive(file: File) -> Archive:
    """The directory of a zip archive.

    Raises:
        SurgeryError: there is none (the file was cut off, as a rule), or it is broken or ambiguous.
    """
    count, size, offset = _end_record(file)
    if count > limits().entries:
        raise exceeded("entries", f"`{file.name}` says that it has {count} entries", needed=count)
    directory = file.read(offset, size)
    if len(directory) != size:
        raise corrupt(file, "its zip directory is cut off")
    members: dict[str, Member] = {}
    at = 0
    for _ in range(count):
        member, at = _member(file, directory, at)
        if member.name in members:
            raise corrupt(file, f"two entries are named `{member.name}`", "which of them counts would be a guess")
        members[member.name] = member
    if at != size:
        raise corrupt(file, "its zip directory holds more than its entries")
    return Archive(file, members, _ends(file, members, offset))


def _end_record(file: File) -> tuple[int, int, int]:
    """Number of entries, size and offset of the directory."""
    start = max(0, file.size - 65_536 - _END.size)
    tail = file.read(start, file.size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise corrupt(
            file, "it begins as a zip archive and has no end", "it was cut off: a download or a save that broke off"
        )
    _, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise corrupt(file, "bytes follow its zip directory")
    end = start + at
    locator = file.read(end - _LOCATOR64.size, _LOCATOR64.size) if end >= _LOCATOR64.size else b""
    # torch writes the large records always, and the small ones beside them
    if locator[:4] == b"PK\x06\x07":
        small = (disk, first_disk, here, count, size, offset)
        disk, first_disk, here, count, size, offset, end = _end_record64(file, locator, end)
        large = (disk, first_disk, here, count, size, offset)
        if any(a not in (b, 0xFFFF, 0xFFFFFFFF) for a, b in zip(small, large, strict=True)):
            raise corrupt(file, "the end of its zip directory is damaged")
    if disk or first_disk or here != count:
        raise corrupt(file, "it is one part of an archive in several")
    if offset + size != end:
        raise corrupt(file, "its zip directory is not where it should be")
    return count, size, offset


def _end_record64(file: File, locator: bytes, end: int) -> tuple[int, int, int, int, int, int, int]:
    _, _, place, _ = _LOCATOR64.unpack(locator)
    raw = file.read(place, _END64.size)
    if len(raw) < _END64.size or raw[:4] != b"PK\x06\x06":
        raise corrupt(file, "the end of its zip directory is damaged")
    _, length, _, _, disk, first_disk, here, count, size, offset = _END64.unpack(raw)
    if place + length + 12 != end - _LOCATOR64.size:
        raise corrupt(file, "the end of its zip directory is damaged")
    return disk, first_disk, here, count, size, offset, place


def _member(file: File, directory: bytes, at: int) -> tuple[Member, int]:
    if directory[at : at + 4] != b"PK\x01\x02" or at + _CENTRAL.size > len(directory):
        raise corrupt(file, "its zip directory is damaged")
    fields = _CENTRAL.unpack_from(directory, at)
    _, flags, method, crc, packed, size, name_length, extra_length, comment_length, header = fields
    start = at + _CENTRAL.size
    end = start + name_length + extra_length + comment_length
    if end > len(directory):
        raise corrupt(file, "its zip directory is damaged")
    try:
        name = directory[start : start + name_length].decode()
    except UnicodeDecodeError as error:
        raise corrupt(file, "an entry's name is not UTF-8", cause=error) from error
    if 0xFFFFFFFF in (size, packed, header):
        extra = directory[start + name_length : start + name_length + extra_length]
        size, packed, header = _large(file, extra, size, packed, header)
    if flags & _ENCRYPTED:
        raise fail("unsupported-checkpoint", f"`{file.name}`: the entry `{name}` is encrypted")
    if method == _STORED and packed != size:
        raise corrupt(file, f"the sizes of the entry `{name}` do not agree")
    return Member(name, header, packed, size, method, crc if crc or not size else None), end


def _large(file: File, extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """The sizes and place of a zip64 entry: those that are all ones, in this order, stand in the extra field."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1 and at + 4 + length <= len(extra):
            found = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            values = [next(found, None) if value == 0xFFFFFFFF else value for value in (size, packed, header)]
            if None not in values:
                return values[0], values[1], values[2]  # type: ignore[return-value]
            break
        at += 4 + length
    raise corrupt(file, "its zip directory is damaged")


def _ends(file: File, members: dict[str, Member], directory: int) -> dict[str, int]:
    """Where the entry behind each entry begins."""
    ordered = sorted(members.values(), key=lambda member: member.header)
    followers = [*(member.header for member in ordered[1:]), directory]
    for member, end in zip(ordered, followers, strict=True):
        if member.header + _LOCAL.size + member.packed > end:
            raise corrupt(file, f"the entry `{member.name}` reaches into what follows it")
    return {member.name: end for member, end in zip(ordered, followers, strict=True)}
