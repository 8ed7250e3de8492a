"""Where the sources of a record are now: only where the caller says, since a record may name any file there is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from surgery.diagnostics import fail
from surgery.formats.plain_names import is_plain
from surgery.provenance.record import SourceRecord

__all__ = ["find"]


def find(sources: Sequence[SourceRecord], given: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """Place -> path, for the sources that are found.

    Args:
        sources: of a record.
        given: checkpoints, each for the source of the same name (or the only one there is), and directories to look in:
            for the place as the record has it, or for its last part.

    Raises:
        SurgeryError: ``no-file``, there is nothing at a given path; ``usage``, a given file is none of the sources.
    """
    found: dict[str, Path] = {}
    for path in map(Path, given):
        if not path.exists():
            raise fail("no-file", f"there is no file `{path}`")
        before = len(found)
        for source in sources:
            here = next((p for p in _candidates(source, path, alone=len(sources) == 1) if p.exists()), None)
            if here is not None:
                found.setdefault(source.place, here)
        if not path.is_dir() and len(found) == before:
            raise fail("usage", f"`{path}` is none of the sources", notes=(_listed(sources),))
    return found


def _candidates(source: SourceRecord, given: Path, *, alone: bool) -> Iterator[Path]:
    names = list(_names(source))
    if given.name in {PurePosixPath(name).name for name in names} or (alone and not given.is_dir()):
        yield given
    if given.is_dir():
        yield from (given / name for name in names)


def _names(source: SourceRecord) -> Iterator[str]:
    """What a source may be called, none of which leads out of a directory."""
    place = source.place.rstrip("/")
    last = place.rpartition("/")[2]
    file = source.files[0].name if len(source.files) == 1 else ""
    yield from dict.fromkeys(name for name in (place.removeprefix("./"), last, file) if name and is_plain(name))


def _listed(sources: Sequence[SourceRecord]) -> str:
    places = [source.place for source in sources]
    return f"the sources: {', '.join(places[:8])}" if places else "the output was made without any"
