"""Counters that old checkpoints do not have: ``num_batches_tracked`` came with version 2 of BatchNorm (torch 0.4.1).

torch's ``_NormBase._load_from_state_dict`` fills it in where the module's version in ``_metadata`` is below 2 or
unknown. A state dict without ``_metadata`` passes as old there even if it is not; here it does only if no counter at
all is in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.ops.full import Zeros
from surgery.planning.context import Context
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry

__all__ = ["OldCounters", "zero_counter"]

_COUNTER = "num_batches_tracked"
_VERSION = 2


class OldCounters:
    """Whether a checkpoint lacks a counter because it is older than the counter."""

    def __init__(self, loaded: Mapping[str, Entry], rest: Any, context: Context) -> None:
        self._loaded = loaded
        self._versions: Mapping[str, Any] = getattr(rest, "state_metadata", None) or {}
        self._inventory = context.inventory

    def lacks(self, key: str) -> bool:
        """Whether `key`, which is not in the checkpoint, is such a counter, beside statistics that are."""
        module, _, name = key.rpartition(".")
        statistics = self._loaded.get(f"{module}.running_mean" if module else "running_mean")
        if name != _COUNTER or statistics is None:
            return False
        for origin in statistics.origins:
            version = self._versions.get(origin.key.rpartition(".")[0])
            if isinstance(version, Mapping):
                number = version.get("version")
                return not isinstance(number, int) or number < _VERSION
        return not self._any_counter()

    def _any_counter(self) -> bool:
        """Whether one of the files holds a counter, be it one that a step has dropped."""
        sources = {origin.source for entry in self._loaded.values() for origin in entry.origins}
        names = [*self._loaded, *(key for source, key in self._inventory if source in sources)]
        return any(name.rpartition(".")[2] == _COUNTER for name in names)


def zero_counter(spec: Spec) -> TensorExpr:
    """A counter that begins at 0."""
    op = Zeros(spec.shape, spec.dtype)
    return Computed(op.infer((), 1)[0], op, ())
