"""Names of older torch: ``weight_g`` and ``weight_v`` of weight normalisation are parametrizations today.

As ``torch.nn.utils.parametrizations.weight_norm`` does with a hook on ``load_state_dict``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from surgery.planning.context import Context
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["with_current_names"]

_ORIGINAL = re.compile(r"(?P<module>.*\.)?parametrizations\.(?P<tensor>[^.]+)\.original0")


def with_current_names(
    loaded: Mapping[str, Entry], wanted: Collection[str], subject: Subject, into: str, context: Context
) -> Mapping[str, Entry]:
    """`loaded`, the two tensors of weight normalisation under the names that the model has for them.

    Only where the module at that place is normalised so, has both names free, and the checkpoint has both old ones.
    """
    if subject.skeleton is None:
        return loaded
    renamed: dict[str, str] = {}
    for key in wanted:
        found = _ORIGINAL.fullmatch(key)
        if found is None or not _normalises(subject, f"{into}.{key}" if into else key):
            continue
        old = f"{found['module'] or ''}{found['tensor']}"
        pairs = {f"{old}_g": key, f"{old}_v": f"{key[:-1]}1"}
        if all(before in loaded and after not in loaded for before, after in pairs.items()):
            renamed |= pairs
    if not renamed:
        return loaded
    context.remarks.append(
        f"{len(renamed)} tensors of weight normalisation have the names of older torch, and were renamed"
    )
    current: dict[str, Entry] = {}
    for key, entry in loaded.items():
        new = renamed.get(key, key)
        touch = Touch("load", f"{key} -> {new} (a name of older torch)", context.here)
        current[new] = entry if new == key else entry.touched(touch)
    return current


def _normalises(subject: Subject, key: str) -> bool:
    """Whether the parametrization that the tensor `key` belongs to is weight normalisation."""
    assert subject.skeleton is not None
    module = subject.skeleton.modules.get(f"{key.rpartition('.')[0]}.0")
    return type(module).__name__ == "_WeightNorm"
