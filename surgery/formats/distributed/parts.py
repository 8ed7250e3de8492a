"""Safetensors files that are parts of a distributed checkpoint: which they are, and where their tensors belong.

After ``torch/distributed/checkpoint/hf_storage.py`` and ``_hf_utils.py``: each rank writes a file of its own, and its
metadata say at which offsets of the whole tensors its own begin.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from surgery.formats.file import File, corrupt
from surgery.formats.strict_json import NotStrict, parse

__all__ = ["SHARDING", "is_part", "is_part_name", "offsets_of"]

#: the metadata pair with the offsets, as JSON: ``{key: {"saved_offsets": [0, 128]}}``
SHARDING = "DCP_SHARDING_INFO"
_NAME = re.compile(r"shard-\d{5,}-model-\d{5,}-of-\d{5,}\.safetensors")


def is_part_name(name: str) -> bool:
    """Whether a file is named as the part of a rank.

    >>> is_part_name("shard-00001-model-00001-of-00001.safetensors"), is_part_name("model-00001-of-00002.safetensors")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None


def is_part(file: File) -> bool:
    """Whether a safetensors file is one of several, by its name and its metadata.

    A single process writes the same metadata into files that are whole; those are named otherwise.
    """
    return is_part_name(os.path.basename(file.path)) and f'"{SHARDING}"'.encode() in file.head


def offsets_of(file: File, metadata: Mapping[str, str], ranks: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Where each tensor of a part begins in the whole one.

    Args:
        ranks: key -> number of dimensions, of the tensors in the part.

    Raises:
        SurgeryError: code ``corrupt-checkpoint``: the metadata do not say it for each of them.
    """
    try:
        found = parse(metadata.get(SHARDING, "").encode())
    except (NotStrict, UnicodeEncodeError) as error:
        raise corrupt(file, f"its metadata `{SHARDING}` is damaged", cause=error) from error
    return {key: _offsets(file, key, found, rank) for key, rank in ranks.items()}


def _offsets(file: File, key: str, found: Any, rank: int) -> tuple[int, ...]:
    entry = found.get(key) if isinstance(found, dict) else None
    offsets = entry.get("saved_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != rank or not all(type(o) is int and o >= 0 for o in offsets):
        raise corrupt(file, f"its metadata `{SHARDING}` does not say where `{key}` begins")
    return tuple(offsets)
