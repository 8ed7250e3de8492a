"""Formats, told by content and never by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import ClassVar

from surgery.diagnostics import fail
from surgery.formats.checksums import Summed, of_tensors
from surgery.formats.contents import Checkpoint
from surgery.formats.file import File, open_file
from surgery.garbage import without_collection
from surgery.registry import Registry

__all__ = ["FORMATS", "Format", "format_of", "is_checkpoint", "read", "read_file"]


class Format:
    """A checkpoint format. Adding one is adding one file.

    Attributes:
        title: what people call it.
    """

    title: ClassVar[str] = ""

    @classmethod
    def matches(cls, file: File) -> bool:
        """Whether the content is of this format. No two formats match one file."""
        raise NotImplementedError

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        """What the file holds, no tensor data read.

        Raises:
            SurgeryError: the file is broken, or holds what cannot be read.
        """
        raise NotImplementedError

    @classmethod
    def checksums(cls, file: File, checkpoint: Checkpoint) -> Iterator[Summed]:
        """What of `checkpoint`, which was read from `file`, has a checksum."""
        return of_tensors(checkpoint.tree)


#: name of a format -> format
FORMATS: Registry[type[Format]] = Registry("surgery.formats")


def read(path: str | os.PathLike[str], *, name: str | None = None) -> Checkpoint:
    """Read the headers of a checkpoint: a file, an index of shards, or a directory with one of them.

    Nothing that the file holds is executed, and no tensor data is read.

    Args:
        path: where it is.
        name: what messages call it; `path` itself if left out.

    Raises:
        SurgeryError: there is no such file (``no-file``), it is no checkpoint (``not-a-checkpoint``), it is broken
            (``corrupt-checkpoint``), holds what cannot be read (``unsupported-checkpoint``), or is absurdly large.
    """
    path = Path(path)
    name = name or os.fspath(path)
    if os.path.isdir(path):
        from surgery.formats.directory import the_checkpoint_in

        inside = the_checkpoint_in(path, name)
        return read(inside, name=os.path.join(name, inside.name))
    with open_file(path, name) as file:
        return read_file(file)


def read_file(file: File) -> Checkpoint:
    """The same of a file that is open.

    Raises:
        SurgeryError: as `read`, the missing file apart.
    """
    with without_collection():
        return format_of(file).read(file)


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a checkpoint file, broken or not.

    Raises:
        SurgeryError: it is a file that may not be read, or an archive without an end.
    """
    if not os.path.isfile(path):
        return False
    with open_file(Path(path)) as file:
        return _matching(file) is not None


def _matching(file: File) -> type[Format] | None:
    # the most common one is asked first, so that what reads pickles and archives is not imported for it
    return next((FORMATS[name] for name in chain(("safetensors",), FORMATS) if FORMATS[name].matches(file)), None)


def format_of(file: File) -> type[Format]:
    """The format of a file.

    Raises:
        SurgeryError: code ``not-a-checkpoint``.
    """
    found = _matching(file)
    if found is not None:
        return found
    from surgery.formats.foreign import what_it_seems

    message = f"`{file.name}` is no checkpoint: {what_it_seems(file)}"
    known = ", ".join(FORMATS[name].title for name in FORMATS)
    raise fail("not-a-checkpoint", message, notes=[f"formats that can be read: {known}"])
