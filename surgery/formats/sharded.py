"""Checkpoints in several files, with an index that says in which file each tensor is.

The index is JSON with a ``weight_map``, as transformers and diffusers write it: for safetensors and for torch files.
Files and index have to agree to the tensor; what does not may be two checkpoints mixed by an interrupted download.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from surgery.diagnostics import fail
from surgery.formats.additions import ALIASES
from surgery.formats.checksums import Summed
from surgery.formats.contents import Checkpoint, Trait
from surgery.formats.detect import FORMATS, Format, format_of, read, read_file
from surgery.formats.file import File, corrupt, open_file
from surgery.formats.plain_names import is_plain
from surgery.formats.safetensors import restore_aliases
from surgery.formats.strict_json import NotStrict, parse
from surgery.tensors.expr import TensorExpr
from surgery.wording import listed

__all__ = ["Sharded", "shards_of"]


@FORMATS.register("sharded")
class Sharded(Format):
    """An index of shards, and the shards."""

    title: ClassVar[str] = "shards with an index (safetensors or torch)"

    @classmethod
    def matches(cls, file: File) -> bool:
        return file.head.lstrip()[:1] == b"{" and b'"weight_map"' in file.head + file.read(
            max(0, file.size - 4096), 4096
        )

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        index = _index(file)
        shards = _shards(file, index)
        _no_single_file(file)
        tree: dict[str, TensorExpr] = {}
        files = {file.path: file.state}
        traits: dict[TensorExpr, Trait] = {}
        found: list[Checkpoint] = []
        remarks: list[str] = []
        for name in sorted(shards, key=_natural):
            shard = _read_shard(file, name)
            _agree(file, name, shard, shards[name])
            tree.update(shard.tree)
            files.update(shard.files)
            traits.update(shard.traits)
            found.append(shard)
            remarks += shard.remarks
        metadata = _common_metadata(index, found)
        remarks += restore_aliases(file, tree, metadata.pop(ALIASES, None))
        form = f"sharded-{found[0].format}"
        return Checkpoint.of(file, form, tree, metadata=metadata, files=files, traits=traits, remarks=remarks)

    @classmethod
    def checksums(cls, file: File, checkpoint: Checkpoint) -> Iterator[Summed]:
        for path in checkpoint.files:
            if path != file.path:
                with open_file(Path(path)) as shard:
                    yield from format_of(shard).checksums(shard, read_file(shard))


def shards_of(path: Path, name: str) -> dict[str, list[str]]:
    """The shards that a file is the index of, by name, with the keys of their tensors; none where it is no index.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        SurgeryError: it cannot be read, is damaged, or names what is no shard.
    """
    with open_file(path, name) as file:
        return _shards(file, _index(file)) if Sharded.matches(file) else {}


def _index(file: File) -> dict[str, Any]:
    """The content of an index.

    Raises:
        SurgeryError: it is damaged, or has no map from tensors to files.
    """
    try:
        index = parse(file.whole("header"))
    except NotStrict as error:
        raise corrupt(file, f"the index is damaged: {error}", cause=error) from error
    if not isinstance(index, dict) or not isinstance(index.get("weight_map"), dict) or not index["weight_map"]:
        raise corrupt(file, "it has no `weight_map` from tensors to files")
    return index


def _shards(file: File, index: Mapping[str, Any]) -> dict[str, list[str]]:
    """File name -> keys of its tensors.

    Names are judged as they are written, not by what they lead to (hub caches are made of symbolic links).

    Raises:
        SurgeryError: ``shards`` where a name is no plain relative one, or that of the index.
    """
    shards: dict[str, list[str]] = {}
    own = os.path.basename(file.path)
    for key, name in index["weight_map"].items():
        if not isinstance(name, str) or not is_plain(name) or name == own:
            message = f"`{file.name}`: the file of the tensor `{key}` is named `{name}`"
            raise fail("shards", message, notes=["a shard is a file beside its index, or below it"])
        shards.setdefault(name, []).append(key)
    return shards


def _natural(name: str) -> list[tuple[int, str]]:
    """A sorting key by which shard 10 comes after shard 2."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _no_single_file(file: File) -> None:
    single = _single_of(Path(file.path))
    if single is not None and os.path.lexists(single):
        message = f"`{file.name}` is an index of shards, and the single file `{single.name}` is there too"
        raise fail("several-checkpoints", message, notes=["which one counts would be a guess: remove or name one"])


def _single_of(index: Path) -> Path | None:
    """The single file that would be there instead of an index and its shards; None where no one knows.

    The name of a variant stands last in that of the index and before the suffix of the file:
    `model.safetensors.index.fp16.json` and `model.fp16.safetensors`.
    """
    whole, found, rest = index.name.rpartition(".index")
    if not found or not rest.endswith(".json"):
        return None
    stem, dot, suffix = whole.rpartition(".")
    return index.with_name(f"{stem}{rest.removesuffix('.json')}{dot}{suffix}")


def _read_shard(file: File, name: str) -> Checkpoint:
    shown = os.path.join(os.path.dirname(file.name), name)
    path = Path(os.path.dirname(file.path)) / name
    with open_file(path, shown) as opened:
        # indexes can name each other in a circle
        if Sharded.matches(opened):
            raise fail("shards", f"`{shown}` is no shard: it is an index itself")
    shard = read(path, name=shown)
    flat = isinstance(shard.tree, dict) and all(isinstance(value, TensorExpr) for value in shard.tree.values())
    if flat and shard.format in ("safetensors", "torch", "torch-legacy"):
        return shard
    raise fail("shards", f"`{shown}` is no shard: it holds more than tensors, or another kind of checkpoint")


def _agree(file: File, name: str, shard: Checkpoint, keys: list[str]) -> None:
    promised, there = set(keys), set(shard.tree)
    # a tied name is an alias in its shard, and the index names what is stored
    tied = {shard.tree[key] for key in promised & there}
    if missing := sorted(promised - there):
        message = f"`{file.name}` says that `{name}` holds {listed(missing, 3)}, and it does not"
        raise fail("shards", message)
    if unlisted := sorted(key for key in there - promised if shard.tree[key] not in tied):
        raise fail("shards", f"`{name}` holds {listed(unlisted, 3)}, which `{file.name}` does not list")


def _common_metadata(index: Mapping[str, Any], shards: list[Checkpoint]) -> dict[str, str]:
    """What all shards say in the same words, and the texts of the index's own metadata."""
    counts = Counter(pair for shard in shards for pair in shard.metadata.items())
    common = {key: value for (key, value), count in counts.items() if count == len(shards)}
    own = index.get("metadata")
    texts = {key: value for key, value in own.items() if isinstance(value, str)} if isinstance(own, dict) else {}
    return {**common, **texts}
