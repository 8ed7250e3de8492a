"""The one checkpoint in a directory: an index of shards, the metadata of a distributed checkpoint, or a single file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from surgery.diagnostics import fail
from surgery.formats.distributed import METADATA, SUFFIX
from surgery.formats.distributed.parts import is_part_name
from surgery.formats.sharded import shards_of
from surgery.wording import listed

__all__ = ["the_checkpoint_among", "the_checkpoint_in"]

#: an index, of a variant perhaps: `model.safetensors.index.json`, `model.safetensors.index.fp16.json`
_INDEX = re.compile(r"\.index(\.[\w-]+)?\.json$")
#: the state of a training run, as trainers name it
_NO_MODEL = re.compile(
    r"(training_args|optimizer|scheduler|scaler|sampler|rng_state|random_states?|custom_checkpoint|trainer_state)"
    r"([_.-].*)?\.(bin|pt|pth|pkl)$"
)
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
    files = [entry for entry in present if os.path.isfile(directory / entry)]
    if distributed := _distributed(directory, present):
        # files of torch may stand beside it: what each rank has for itself, what was not distributed
        others = [entry for entry in files if _INDEX.search(entry) or entry.endswith(".safetensors")]
        if len(distributed) > 1 or others:
            raise _ambiguous(name, [*distributed, *others])
        return directory / distributed[0]
    if any(entry.endswith(SUFFIX) for entry in files):
        note = (
            "it is written last: the save was not finished, or the file, whose name begins with a dot, was not copied"
        )
        message = f"`{name}` holds files of a distributed checkpoint, and no `{METADATA}` that says what is in them"
        raise fail("not-a-checkpoint", message, notes=[note])
    indexes = [file for file in files if _INDEX.search(file)]
    shards = {shard for index in indexes for shard in shards_of(directory / index, os.path.join(name, index))}
    return directory / the_checkpoint_among([file for file in files if file not in shards], name, present)


def the_checkpoint_among(files: Sequence[str], name: str, present: Sequence[str] | None = None) -> str:
    """The checkpoint among the names of the files in a directory, which is called `name`.

    Args:
        files: the names; those of shards that an index is for may be among them.
        present: all names in the directory, for messages.

    Raises:
        SurgeryError: there is none, or more than one.
    """
    content = _content(files if present is None else present)
    indexes = [file for file in files if _INDEX.search(file)]
    weights = [file for file in files if file.endswith(_SUFFIXES)]
    if weights and not indexes and all(map(is_part_name, weights)):
        # any of them stands for all: each says where its tensors belong
        return weights[0]
    single = [file for file in weights if not (indexes and _is_shard(file))]
    # beside the weights, a trainer leaves what it needs to go on
    models = [file for file in single if not _NO_MODEL.match(file)]
    single = models if indexes else models or single
    if len(indexes) + len(single) == 1:
        return (indexes or single)[0]
    if not indexes and not single:
        raise fail("not-a-checkpoint", f"there is no checkpoint in the directory `{name}`", notes=[content])
    if all(_is_shard(file) for file in single) and not indexes:
        message = f"`{name}` holds {len(single)} shards, and no index that says what is in them"
        raise fail("shards", message, notes=[content])
    raise _ambiguous(name, [*indexes, *single])


def _distributed(directory: Path, present: Sequence[str]) -> list[str]:
    """The metadata of distributed checkpoints: one of all ranks, or, where ranks saved on their own, one of each."""
    if os.path.isfile(directory / METADATA):
        return [METADATA]
    return [entry for entry in present if entry.startswith("__") and entry.endswith(METADATA)]


def _is_shard(file: str) -> bool:
    stem, _, total = file.rpartition("-of-")
    return bool(stem) and total[:1].isdigit()


def _ambiguous(name: str, found: list[str]) -> Exception:
    note = f"name one of them, as in `{os.path.join(name, found[0])}`"
    message = f"the directory `{name}` holds several checkpoints: {listed(found, 8)}"
    return fail("several-checkpoints", message, notes=[note])


def _content(present: Sequence[str]) -> str:
    if not present:
        return "it is empty"
    return f"in it: {listed(list(present), 8)}"
