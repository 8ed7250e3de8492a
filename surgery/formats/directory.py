"""The one checkpoint in a directory: an index of shards, the metadata of a distributed checkpoint, or a single file."""

from __future__ import annotations

import os
from pathlib import Path

from surgery.diagnostics import fail
from surgery.wording import listed

__all__ = ["the_checkpoint_in"]

_INDEX = ".index.json"
_METADATA = ".metadata"
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".tar", ".npz", ".pkl")


def the_checkpoint_in(directory: Path, name: str) -> Path:
    """The checkpoint in a directory.

    Raises:
        SurgeryError: there is none, or more than one: which one counts would be a guess.
    """
    try:
        present = sorted(entry for entry in os.listdir(directory) if not entry.startswith("."))
    except OSError as error:
        raise fail("no-file", f"the directory `{name}` cannot be listed: {error.strerror}", cause=error) from error
    indexes = [entry for entry in present if entry.endswith(_INDEX)]
    files = [entry for entry in present if entry.endswith(_SUFFIXES) and os.path.isfile(directory / entry)]
    if distributed := _distributed(directory, present):
        # files of torch may stand beside it: what each rank has for itself, what was not distributed
        others = [*indexes, *(file for file in files if file.endswith(".safetensors"))]
        if len(distributed) > 1 or others:
            raise _ambiguous(name, [*distributed, *others])
        return directory / distributed[0]
    if indexes:
        singles = [single for index in indexes if (single := _single_of(index)) in files]
        if len(indexes) > 1 or singles:
            raise _ambiguous(name, [*indexes, *singles])
        return directory / indexes[0]
    if not files:
        raise fail("not-a-checkpoint", f"there is no checkpoint in the directory `{name}`", notes=[_content(present)])
    if len(files) > 1:
        if all(_is_shard(file) for file in files):
            message = f"`{name}` holds {len(files)} shards, and no index that says what is in them"
            raise fail("shards", message, notes=[_content(present)])
        raise _ambiguous(name, files)
    return directory / files[0]


def _distributed(directory: Path, present: list[str]) -> list[str]:
    """The metadata of distributed checkpoints: one of all ranks, or, where ranks saved on their own, one of each."""
    if os.path.isfile(directory / _METADATA):
        return [_METADATA]
    return [entry for entry in present if entry.startswith("__") and entry.endswith(_METADATA)]


def _single_of(index: str) -> str:
    """The single file that would be there instead of an index and its shards."""
    return index.removesuffix(_INDEX)


def _is_shard(file: str) -> bool:
    stem, _, total = file.rpartition("-of-")
    return bool(stem) and total[:1].isdigit()


def _ambiguous(name: str, found: list[str]) -> Exception:
    note = f"name one of them, as in `{os.path.join(name, found[0])}`"
    message = f"the directory `{name}` holds several checkpoints: {listed(found, 8)}"
    return fail("several-checkpoints", message, notes=[note])


def _content(present: list[str]) -> str:
    if not present:
        return "it is empty"
    return f"in it: {listed(present, 8)}"
