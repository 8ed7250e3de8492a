"""What a lock holds recipes and sources to while a recipe is planned."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.formats.contents import Checkpoint
from surgery.locking.lock import LOCK_FILE, Lock, LockedFile, LockedRecipe, read_lock
from surgery.locking.vendored import Vendored
from surgery.planning.context import Context
from surgery.provenance.digests import digests
from surgery.references.base import Found, Reference
from surgery.references.kind import Named
from surgery.references.path import PathReference
from surgery.tensors.spec import format_bytes

__all__ = ["Pins", "files_of", "pins_of", "source_name"]

_LOCK = "`surgery lock` puts it there"
_UPDATE = "`surgery update` shows what changed, and takes it"
_CHANGED = "its commit is the same: the copy in the cache, or in `surgery.vendor`, was changed"


class Pins:
    """A lock in force.

    Args:
        lock: what was locked.
        directory: the directory of the lock.
        strict: whether what is not in the lock, or differs from it, is an error; else what is in it is used, and a
            difference is a warning.
    """

    def __init__(self, lock: Lock, directory: Path, *, strict: bool) -> None:
        self._lock, self._directory, self._strict = lock, directory, strict
        self._vendored = Vendored(directory)

    def check_top(self, context: Context) -> None:
        """Compare the recipe that is planned with what it is locked to, where it is no file and the lock is strict.

        Raises:
            SurgeryError: ``drift``.
        """
        if not self._strict:
            return
        for name, found in context.included.items():
            locked = self._lock.recipes.get(name)
            if locked is None:
                raise fail("drift", f"`{name}` is not in `{LOCK_FILE}`", notes=(_LOCK,))
            if (locked.sha256, locked.commit) != (found.sha256, found.commit):
                raise fail("drift", f"`{name}` is not what it was when it was locked", notes=(_UPDATE,))
            _refuse_moving(name, locked, None)

    def find(self, reference: Reference, named: Named, context: Context, allowed: Callable[[Reference], None]) -> Found:
        """The recipe that a reference is locked to. `allowed` refuses one that the recipe may not name.

        Raises:
            SurgeryError: ``drift``; whatever getting it raises.
        """
        locked = self._lock.recipes.get(str(reference))
        if isinstance(reference, PathReference) or locked is None:
            if self._strict and not isinstance(reference, PathReference):
                raise fail("drift", f"`{named}` is not in `{LOCK_FILE}`", named.span, (_LOCK,))
            allowed(reference)
            return reference.find(named.span)
        if self._strict:
            _refuse_moving(named.text, locked, named.span)
        pinned = reference.pinned(locked.commit) if locked.commit else reference
        found = self._vendored.recipe(pinned, locked)
        if found is None:
            allowed(pinned)
            found = pinned.find(named.span)
        if found.sha256 != locked.sha256:
            message = f"`{named}` is not what it was when it was locked"
            if self._strict or locked.commit:
                # what a commit names is the same for ever: somebody changed a copy of it
                raise fail("drift", message, named.span, (_CHANGED if locked.commit else _UPDATE,))
            context.report("drift", message, named.span, (_UPDATE,), warning=True)
        if self._strict and locked.commit:
            self._refuse_moved(reference, locked, named, allowed)
        return found

    def _refuse_moved(
        self, reference: Reference, locked: LockedRecipe, named: Named, allowed: Callable[[Reference], None]
    ) -> None:
        """Refuse a revision that leads to another commit by now, where the repository may be asked, and answers."""
        try:
            allowed(reference)
            current = reference.commit(named.span)
        except SurgeryError as error:
            if {d.code for d in error.diagnostics} <= {"not-allowed", "download"}:
                return
            raise
        if current != locked.commit:
            notes = (f"locked to {locked.commit}", f"leads to  {current}", _UPDATE)
            raise fail("drift", f"`{named}` leads to another commit than when it was locked", named.span, notes)

    def vendored(self, place: str) -> Path | None:
        """Where the files of a source are that were copied; None where they were not."""
        return self._vendored.source(place, self._lock.sources.get(place, {}))

    def check_sources(self, context: Context) -> None:
        """Compare the sources that recipes name, and no parameter, with what they are locked to.

        Raises:
            SurgeryError: a file cannot be read.
        """
        for opened in context.opened:
            if opened.checkpoint is None or opened.pinned_as is None:
                continue
            locked = self._lock.sources.get(source_name(opened.pinned_as, self._directory))
            if locked is None:
                if self._strict:
                    context.report("drift", f"`{opened.place}` is not in `{LOCK_FILE}`", notes=(_LOCK,))
                continue
            wrong = _differences(opened.checkpoint, locked, contents=self._strict)
            if wrong:
                message = f"`{opened.place}` is not what it was when it was locked"
                context.report("drift", message, notes=(*wrong, _UPDATE), warning=not self._strict)


def _refuse_moving(name: str, locked: LockedRecipe, span: Span | None) -> None:
    """Refuse a branch: what it is locked to is no longer what it is called, as soon as somebody commits."""
    if locked.is_moving:
        note = f"it was at {locked.commit} when it was locked; a tag or a commit says which one is meant"
        raise fail("drift", f"`{name}` follows a branch", span, (note,))


def pins_of(directory: Path, *, strict: bool) -> Pins | None:
    """The lock of a directory, in force; None where there is none.

    Raises:
        SurgeryError: ``lock-file``: it cannot be read, or `strict`, and there is none.
    """
    lock = read_lock(directory)
    if lock is None and strict:
        note = "`surgery lock RECIPE` writes it"
        raise fail("lock-file", f"there is no `{LOCK_FILE}` in `{directory}`", notes=(note,))
    return None if lock is None else Pins(lock, directory, strict=strict)


def source_name(pinned_as: str, directory: Path) -> str:
    """What a lock in `directory` calls a source: a path is one from there."""
    if not os.path.isabs(pinned_as):
        return pinned_as
    return Path(os.path.relpath(pinned_as, os.path.abspath(directory))).as_posix()


def files_of(checkpoint: Checkpoint) -> dict[str, str]:
    """The files of a source: name below its directory -> path."""
    directory = os.path.dirname(checkpoint.path)
    return {Path(os.path.relpath(path, directory)).as_posix(): path for path in checkpoint.files}


def _differences(found: Checkpoint, locked: Mapping[str, LockedFile], *, contents: bool) -> list[str]:
    """What of a source differs from what was locked: names and sizes, and contents where they are to be read."""
    files = files_of(found)
    wrong = [f"there is no file `{name}`" for name in locked.keys() - files.keys()]
    wrong += [f"`{name}` is new" for name in files.keys() - locked.keys()]
    sizes = {name: found.files[path].size for name, path in files.items()}
    for name in sorted(locked.keys() & files.keys()):
        if sizes[name] != locked[name].size:
            wrong.append(f"`{name}` had {format_bytes(locked[name].size)}, and has {format_bytes(sizes[name])}")
    if wrong or not contents:
        return sorted(wrong)
    now = digests(files.values())
    return [f"`{name}` has other content" for name in sorted(files) if now[files[name]] != locked[name].sha256]
