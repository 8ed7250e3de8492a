"""Whether something may be published at a path: asked before any work, and again before the name is given."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.files.failures import write_error
from surgery.wording import listed

__all__ = ["already_there", "check_directory", "check_file", "follow"]


def already_there(path: Path, span: Span | None = None) -> SurgeryError:
    """The error about an output that exists and may not be replaced."""
    notes = ("to replace it: `--force`, in Python `overwrite=True`, in a recipe `overwrite: true`",)
    return fail("output-exists", f"`{path}` is already there", span, notes)


def follow(path: Path) -> Path:
    """The path that is really written: absolute, symbolic links followed."""
    return Path(os.path.realpath(path))


def check_file(path: Path, overwrite: bool, span: Span | None = None) -> None:
    """Whether a file may be published at `path`.

    Raises:
        SurgeryError: ``output-exists`` where it is there and may not be replaced; ``output`` where what is there is no
            regular file, or what should be a directory above it is none.
    """
    _check_parents(path, span)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:  # such as a symbolic link that leads to itself
        raise write_error(error, path, span) from error
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise fail("output", f"`{path}` is {what}", span, ("a file of a new name, please",))
    if not overwrite:
        raise already_there(path, span)


def check_directory(path: Path, overwrite: bool, replaceable: Callable[[str], bool], span: Span | None = None) -> None:
    """Whether a directory may be published at `path`: there is none, or an empty one, or it may be replaced.

    Raises:
        SurgeryError: ``output-exists`` where it is there and may not be replaced; ``output`` where what is there is no
            directory, or holds a file that would be lost.
    """
    _check_parents(path, span)
    try:
        names = sorted(os.listdir(path))
    except FileNotFoundError:
        return
    except NotADirectoryError:
        what = "a file, and shards go to a directory" if path.is_file() else "no regular file, and no directory"
        raise fail("output", f"`{path}` is {what}", span) from None
    except OSError as error:
        raise write_error(error, path, span) from error
    if names and not overwrite:
        raise already_there(path, span)
    foreign = [name for name in names if not (replaceable(name) and (path / name).is_file())]
    if foreign:
        notes = ("write to a new directory, and copy there what should stand beside the weights",)
        raise fail("output", f"`{path}` holds what would be lost: {listed(foreign, 3)}", span, notes)


def _check_parents(path: Path, span: Span | None) -> None:
    """The path must be one that the system takes; the nearest directory above that is there, a writable one."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise write_error(error, path, span) from error
    # the root has nothing above it
    nearest = next((parent for parent in follow(path).parents if os.path.lexists(parent)), Path(os.sep))
    if not nearest.is_dir():
        raise fail("output", f"`{path}` cannot be written: `{nearest}` is no directory", span)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise fail("output", f"`{path}` cannot be written: the directory `{nearest}` is not writable", span)
