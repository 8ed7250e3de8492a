"""Temporary names, and how what a killed run left behind is told from what a live run is writing.

Whoever writes under a temporary name holds an exclusive ``flock`` on it, which ends with the process, however that
ends. So a temporary name whose lock is free is litter. Where a file system has no locks, nothing is swept.

A directory that is being replaced in two steps has for a moment a name that tells its own one, and goes back to it
where nothing has taken its place.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["hold", "name_aside", "still_named", "sweep", "temporary_name", "unlink_tree"]

_NAME = re.compile(r"\.surgery-[0-9a-f]{16}\.tmp")
_ASIDE = re.compile(r"\.surgery-[0-9a-f]{16}-(.+)\.old", re.DOTALL)


def temporary_name() -> str:
    """A new name for something unfinished."""
    return f".surgery-{secrets.token_hex(8)}.tmp"


def name_aside(name: str) -> str:
    """A new name for what is `name` as soon as nothing stands in its place.

    >>> _ASIDE.fullmatch(name_aside("out"))[1]
    'out'
    """
    return f".surgery-{secrets.token_hex(8)}-{name}.old"


def hold(descriptor: int) -> None:
    """Lock an open file or directory until it is closed, where the file system can."""
    # without locks nothing is ever swept, so nothing of ours is either
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def still_named(descriptor: int, path: Path) -> bool:
    """Whether `path` names what is open: another run may have swept it before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def sweep(directory: Path) -> list[str]:
    """Remove from `directory` what killed runs left there, and put back what they had set aside; names of both."""
    try:
        names = [name for name in os.listdir(directory) if _NAME.fullmatch(name) or _ASIDE.fullmatch(name)]
    except OSError:
        # what is not there, or may not be listed, will be reported when it is written to
        return []
    return [name for name in names if _settle_if_abandoned(directory / name)]


def _settle_if_abandoned(path: Path) -> bool:
    with suppress(OSError), _locked(path) as descriptor:
        if still_named(descriptor, path):
            aside = _ASIDE.fullmatch(path.name)
            if aside and not os.path.lexists(path.with_name(aside[1])):
                os.rename(path, path.with_name(aside[1]))
            else:
                unlink_tree(path)
            return True
    return False


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def unlink_tree(path: Path) -> None:
    """Remove a file, or a directory of files, that has a temporary name. Nothing is followed, no tree descended."""
    assert _NAME.fullmatch(path.name) or _ASIDE.fullmatch(path.name), "only what is temporary is removed"
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
        for name in os.listdir(path):
            os.unlink(path / name)
        os.rmdir(path)
