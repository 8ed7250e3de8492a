"""Keys that transformers leaves alone although a rename of it would take them.

A key that a rename would turn into none of the model's, and that is one of the model's as it stands, stays. Here that
is said of the keys that a checkpoint has under the names of the model; rules leave them out by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from surgery.foreign.generalise import generalised
from surgery.foreign.letters import Letters
from surgery.foreign.numbered import letters_of

__all__ = ["excluded_of", "spared_keys"]


def spared_keys(model: Any, transforms: Sequence[Any]) -> dict[str, str]:
    """The keys of the model that are in checkpoints under the same name, and that renames would spoil.

    In place of all keys of a module there is the module, with one of its keys.
    """
    from transformers.core_model_loading import PrefixChange, WeightConverter, rename_source_key

    keys = model.state_dict()
    renamings, converters = _two_kinds(transforms, WeightConverter)
    back = [t.reverse_transform() for t in transforms[::-1] if not isinstance(t, PrefixChange)]
    renamings_back, converters_back = _two_kinds(back, WeightConverter)
    found = set()
    for key in keys:
        renamed, _ = rename_source_key(key, renamings, converters, model.base_model_prefix, keys)
        if renamed not in keys and rename_source_key(key, renamings_back, converters_back, reverse=True)[0] == key:
            found.add(key)
    others = [key for key in keys if key not in found]
    modules = {_above(key) for key in found} - {""}
    whole = {module for module in modules if not any(key.startswith(f"{module}.") for key in others)}
    return {_above(key) if _above(key) in whole else key: key for key in sorted(found)}


def _above(key: str) -> str:
    return key.rpartition(".")[0]


def _two_kinds(transforms: Sequence[Any], converter: type) -> tuple[list[Any], list[Any]]:
    renamings = [t for t in transforms if not isinstance(t, converter)]
    return renamings, [t for t in transforms if isinstance(t, converter)]


def excluded_of(transform: Any, spared: Mapping[str, str]) -> tuple[Letters, ...]:
    """What the rules of one renaming are to leave out."""
    names = [name for name, key in spared.items() if transform.rename_source_key(key)[0] != key]
    return (
        tuple(letters_of(rule.old) for rule in generalised({name: name for name in names}, subtrees=False))
        if names
        else ()
    )
