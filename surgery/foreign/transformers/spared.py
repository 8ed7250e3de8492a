"""Keys that transformers leaves alone although a rename of it would take them.

A key that a rename would turn into none of the model's, and that is one of the model's as it stands, stays. Here that
is said of the keys that a checkpoint has under the names of the model; rules leave them out by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surgery.foreign.generalise import generalised, letters_of
from surgery.foreign.letters import Letters

__all__ = ["excluded_of", "spared_keys"]


def spared_keys(model: Any, transforms: Sequence[Any]) -> list[str]:
    """The keys of the model that are in checkpoints under the same name, and that renames would spoil."""
    from transformers.core_model_loading import PrefixChange, WeightConverter, rename_source_key

    keys = model.state_dict()
    renamings, converters = _two_kinds(transforms, WeightConverter)
    back = [t.reverse_transform() for t in transforms[::-1] if not isinstance(t, PrefixChange)]
    renamings_back, converters_back = _two_kinds(back, WeightConverter)
    found = []
    for key in keys:
        renamed, _ = rename_source_key(key, renamings, converters, model.base_model_prefix, keys)
        if renamed not in keys and rename_source_key(key, renamings_back, converters_back, reverse=True)[0] == key:
            found.append(key)
    return found


def _two_kinds(transforms: Sequence[Any], converter: type) -> tuple[list[Any], list[Any]]:
    renamings = [t for t in transforms if not isinstance(t, converter)]
    return renamings, [t for t in transforms if isinstance(t, converter)]


def excluded_of(transform: Any, spared: Sequence[str]) -> tuple[Letters, ...]:
    """What the rules of one renaming are to leave out."""
    keys = [key for key in spared if transform.rename_source_key(key)[0] != key]
    return (
        tuple(letters_of(rule.old) for rule in generalised({key: key for key in keys}, subtrees=False)) if keys else ()
    )
