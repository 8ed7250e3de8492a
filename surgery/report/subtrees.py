"""Some keys of many as the subtrees that hold nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from surgery.collapse import collapse
from surgery.subtrees import prefixes
from surgery.wording import listed

__all__ = ["brief", "subtrees"]


def subtrees(chosen: Iterable[str], everything: Collection[str]) -> list[str]:
    """The topmost prefixes (or keys) below which every key of `everything` is chosen; ``**`` where all are.

    >>> subtrees(["a.x", "a.y", "b.x"], ["a.x", "a.y", "b.x", "b.y"])
    ['a', 'b.x']
    """
    chosen = list(dict.fromkeys(chosen))
    if chosen and len(chosen) == len(everything):
        return ["**"]
    there = Counter(prefix for key in everything for prefix in _on_the_way(key))
    taken = Counter(prefix for key in chosen for prefix in _on_the_way(key))
    # a key that is itself the prefix of another stands for itself
    tops = (next((prefix for prefix in _on_the_way(key) if there[prefix] == taken[prefix]), key) for key in chosen)
    return list(dict.fromkeys(tops))


def _on_the_way(key: str) -> list[str]:
    """The modules above a key, the topmost first, and the key itself."""
    return [*prefixes(key), key]


def brief(chosen: Iterable[str], everything: Collection[str], *, most: int = 4) -> str:
    """The subtrees of some keys, equal layers collapsed, the first `most` of them.

    >>> brief([f"layers.{i}.bias" for i in range(9)], [f"layers.{i}.{n}" for i in range(9) for n in ("bias", "w")])
    'layers.{0-8}.bias'
    """
    return listed(collapse(subtrees(chosen, everything)), most, mark="")
