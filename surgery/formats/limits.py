"""Limits on what a file may cost before any tensor is read. All are far above real use, and all are options."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits, in bytes unless said otherwise.

    Attributes:
        header: of a safetensors header, and of an index of shards.
        pickle: of a pickle, tensor data apart.
        entries: how many entries a zip archive may have.
        inflated: what compressed entries of one archive may grow to.
        expanded: of a tensor that repeats stored elements (stride 0), and so is larger than its storage.
        depth: how many containers may lie inside each other.
    """

    header: int = 100_000_000
    pickle: int = 1 << 29
    entries: int = 1_000_000
    inflated: int = 1 << 31
    expanded: int = 1 << 34
    depth: int = 200


DEFAULT_LIMITS = Limits()
