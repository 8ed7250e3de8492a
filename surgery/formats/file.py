"""The one way in which checkpoint files are opened and read: regular files only, in bounded pieces."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.diagnostics import SurgeryError, fail
from surgery.limits import exceeded, limits
from surgery.suggest import did_you_mean
from surgery.tensors.expr import ByteRange
from surgery.tensors.spec import format_bytes
from surgery.tensors.state import FileState

if TYPE_CHECKING:
    from surgery.formats.archive import Archive

__all__ = ["File", "Snapshot", "corrupt", "open_file", "unreadable"]


class File:
    """An open file: its name in messages, its size, and its bytes.

    Attributes:
        path: its absolute path (symbolic links are left as they are: hub caches are made of them).
        name: the path as it was given, for messages.
        size: of what can be read, in bytes.
        state: what the file at `path` was when it was opened.
    """

    def __init__(self, descriptor: int, path: str, name: str, size: int, state: FileState) -> None:
        self._descriptor = descriptor
        self.path = path
        self.name = name
        self.size = size
        self.state = state

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer where the file ends before.

        Raises:
            SurgeryError: the device reports an error.
        """
        pieces: list[bytes] = []
        # numbers from a file can be anything; no more is asked for than there can be
        length = min(length, self.size - offset)
        while length > 0:
            try:
                piece = os.pread(self._descriptor, min(length, 1 << 30), offset)
            except OSError as error:
                raise fail("no-file", f"`{self.name}` cannot be read: {error.strerror}", cause=error) from error
            if not piece:
                break
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def whole(self, limit: str) -> bytes:
        """All bytes, unless they are more than the limit of this name.

        Raises:
            SurgeryError: ``too-large``; the device reports an error.
        """
        if self.size > getattr(limits(), limit):
            raise exceeded(limit, f"`{self.name}` has {format_bytes(self.size)}", needed=self.size)
        return self.read(0, self.size)

    def locate(self, offset: int, length: int, crc: int | None = None) -> ByteRange:
        """The range of `length` bytes from `offset`."""
        return ByteRange(self.path, offset, length, crc)

    @cached_property
    def head(self) -> bytes:
        """The first bytes, enough to tell formats apart."""
        return self.read(0, 4096)

    @cached_property
    def archive(self) -> Archive | None:
        """The directory of the zip archive that the file is; None if it does not begin as one.

        Raises:
            SurgeryError: it begins as one and is broken.
        """
        from surgery.formats.archive import read_archive

        return read_archive(self) if self.head.startswith(b"PK\x03\x04") else None


class Snapshot(File):
    """A file as it was when all of it was read into memory: nobody can change it any more."""

    def __init__(self, content: bytes, file: File) -> None:
        super().__init__(-1, file.path, file.name, len(content), file.state)
        self._content = content

    def read(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + max(0, length)] if offset >= 0 else b""


@contextmanager
def open_file(path: Path, name: str | None = None) -> Iterator[File]:
    """Open a regular file for reading.

    Raises:
        SurgeryError: there is none, it may not be read, or it is a pipe, a device, a directory.
    """
    name = name or os.fspath(path)
    try:
        # without O_NONBLOCK the call would wait for a writer if this is a pipe
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise unreadable(path, name, error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise fail("no-file", f"`{name}` is {_what(status.st_mode)}, not a regular file")
        yield File(descriptor, os.path.abspath(path), name, status.st_size, FileState.of(status))
    finally:
        os.close(descriptor)


def _what(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFDIR: "a directory",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


def unreadable(path: Path, name: str, error: OSError | ValueError) -> SurgeryError:
    """Why a path could not be opened, with the names of its neighbours that are near."""
    if isinstance(error, ValueError):
        return fail("no-file", f"`{name}` is no file name: {error}", cause=error)
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return fail("no-file", f"`{name}` cannot be opened: {error.strerror}", cause=error)
    return fail("no-file", f"there is no file `{name}`", notes=_near(path), cause=error)


def _near(path: Path) -> list[str]:
    missing = path
    while not os.path.isdir(missing.parent) and missing.parent != missing:
        missing = missing.parent
    try:
        neighbours = sorted(os.listdir(missing.parent))
    except OSError:
        return []
    near = did_you_mean(missing.name, neighbours, most=3)
    if near:
        return [near]
    if missing != path:
        return [f"there is no directory `{missing}`"]
    shown = [f"`{name}`" for name in neighbours[:6]] + ([f"… {len(neighbours)} in all"] if len(neighbours) > 6 else [])
    return [f"in that directory: {', '.join(shown)}"] if shown else ["that directory is empty"]


def corrupt(file: File, message: str, *notes: str, cause: BaseException | None = None) -> SurgeryError:
    """The error about a file that is not what its own headers say."""
    return fail("corrupt-checkpoint", f"`{file.name}`: {message}", notes=notes, cause=cause)
