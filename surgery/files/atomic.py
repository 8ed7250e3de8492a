"""The only place that opens files for writing.

A draft is written under a temporary name beside its target. Publishing it gives it the target's name in one step, when
its bytes are on the disk; until then, and after whatever failure, the target is what it was. The order is: temporary
name -> write -> owner and mode -> fsync -> rename -> fsync of the directory.

What a name stands for:

- A symbolic link is followed: the file that it leads to is replaced, the link stays.
- Of a hard link only the one name is replaced; the others keep the old content.
- Missing parent directories are made, and removed again where nothing was published into them.
- Nothing is written over anything that is no regular file, or no directory of shards.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from surgery.diagnostics import Span
from surgery.files.checks import already_there, check_directory, check_file, follow
from surgery.files.exchange import exchange
from surgery.files.failures import output_errors
from surgery.files.litter import hold, name_aside, still_named, sweep, temporary_name, unlink_tree

__all__ = ["DirectoryDraft", "Draft", "FileDraft"]


class Draft:
    """What is being written, under a temporary name; in a ``with`` block, discarded unless published.

    Attributes:
        target: what it will be, symbolic links followed.
        path: the temporary path.
    """

    def __init__(self, target: Path, *, overwrite: bool = False, span: Span | None = None) -> None:
        self.shown = target
        self.target = follow(target)
        self.overwrite = overwrite
        self._span = span
        self._open: dict[str, int] = {}
        self._made: list[Path] = []
        self._published = False
        self.path = self.target.parent / temporary_name()
        try:
            with output_errors(self.shown, span):
                sweep(self.target.parent)
                self._examine()
                self._make_parents()
                self._begin()
        except BaseException:
            self.close()
            raise

    def _examine(self) -> None:
        """Refuse what publishing would refuse, as far as it is known before any work."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Make the temporary file or directory, locked."""
        while True:
            self._open[""] = self._make(self.path)
            hold(self._open[""])
            if still_named(self._open[""], self.path):
                return
            os.close(self._open.pop(""))
            self.path = self.target.parent / temporary_name()

    def _make(self, path: Path) -> int:
        raise NotImplementedError

    def _make_parents(self) -> None:
        missing = [p for p in (self.target.parent, *self.target.parent.parents) if not p.exists()]
        for parent in reversed(missing):
            # another run may make it at the same time; then it is not ours to remove
            with suppress(FileExistsError):
                os.mkdir(parent)
                self._made.append(parent)

    def create(self, name: str) -> int:
        """A file of the draft, open for reading and writing. A draft that is one file has that one alone."""
        raise NotImplementedError

    def divert(self, target: Path) -> None:
        """Let the draft get another name, of the same directory, when it is published."""
        assert target.parent == self.shown.parent, "a draft stays in its directory"
        self.shown = target
        self.target = follow(target)

    def publish(self) -> None:
        """Give the draft its name. When this returns, it is on the disk.

        Raises:
            SurgeryError: code ``output-exists`` where the target is there and may not be replaced; ``no-space``,
                ``output``. Nothing has changed then.
        """
        with output_errors(self.shown, self._span):
            self._finish()
            self._rename()
            self._published = True
            self._made.clear()
            _sync_directory(self.target.parent)
        self.close()

    def _finish(self) -> None:
        raise NotImplementedError

    def _rename(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open; discard the draft if it was not published."""
        try:
            for name in [name for name in self._open if name]:
                # the lock stays until the draft is gone; and to discard it where too many files are open takes one
                os.close(self._open.pop(name))
            if not self._published:
                with suppress(OSError):
                    # a later run sweeps what cannot be removed now
                    unlink_tree(self.path)
        finally:
            for descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()
            for parent in reversed(self._made):
                with suppress(OSError):
                    os.rmdir(parent)
            self._made.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileDraft(Draft):
    """A file that is being written, through `descriptor` (for reading and writing, at any offset)."""

    @property
    def descriptor(self) -> int:
        """The open temporary file."""
        return self._open[""]

    def _examine(self) -> None:
        check_file(self.shown, self.overwrite, self._span)

    def _make(self, path: Path) -> int:
        return _new_file(path)

    def create(self, name: str) -> int:
        return self.descriptor

    def _finish(self) -> None:
        if self.overwrite:
            _inherit(self.descriptor, self.target)
        os.fsync(self.descriptor)

    def _rename(self) -> None:
        if self.overwrite:
            self._examine()
            os.replace(self.path, self.target)
            return
        try:
            # unlike a rename, a link never replaces anything, even what was made a moment ago
            os.link(self.path, self.target)
        except FileExistsError:
            raise already_there(self.shown, self._span) from None
        except OSError:
            # without hard links, a file that appears in this very moment is replaced
            self._examine()
            os.rename(self.path, self.target)
        else:
            os.unlink(self.path)


class DirectoryDraft(Draft):
    """A directory of files that is being written, each made by `create`.

    Args:
        replaceable: whether a file of a directory that is replaced may go. One that may not is an error, so that
            nothing is lost that is not written anew.
    """

    def __init__(
        self,
        target: Path,
        *,
        overwrite: bool = False,
        span: Span | None = None,
        replaceable: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self._replaceable = replaceable
        super().__init__(target, overwrite=overwrite, span=span)

    def _examine(self) -> None:
        check_directory(self.shown, self.overwrite, self._replaceable, self._span)

    def _make(self, path: Path) -> int:
        os.mkdir(path)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def create(self, name: str) -> int:
        with output_errors(self.shown, self._span):
            self._open[name] = _new_file(self.path / name)
        return self._open[name]

    def _finish(self) -> None:
        for name, descriptor in self._open.items():
            if name:
                os.fsync(descriptor)
        if self.overwrite:
            _inherit(self._open[""], self.target)
        os.fsync(self._open[""])

    def _rename(self) -> None:
        self._examine()
        try:
            # of directories, a rename replaces none but empty ones
            os.rename(self.path, self.target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if not self.overwrite:
            # it appeared a moment ago
            raise already_there(self.shown, self._span)
        if exchange(self.path, self.target):
            unlink_tree(self.path)
        else:
            self._swap()

    def _swap(self) -> None:
        """What `exchange` does, in two steps. A run that is killed between them is put right by the next one."""
        aside = self.target.parent / name_aside(self.target.name)
        old = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            hold(old)
            try:
                os.rename(self.target, aside)
                os.rename(self.path, self.target)
            except BaseException:
                # fails where nothing has moved yet, or all has
                with suppress(OSError):
                    os.rename(aside, self.target)
                raise
            unlink_tree(aside)
        finally:
            os.close(old)


def _new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def _inherit(descriptor: int, target: Path) -> None:
    """Give a draft the owner and the mode of what it replaces; a new file has those of the process and its umask."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            # only a privileged user can give files away; `cp` leaves it at that too
            os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
