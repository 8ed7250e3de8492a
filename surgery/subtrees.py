"""Keys as a tree of modules: what stands above a key, and which subtrees some keys fill."""

from __future__ import annotations

from collections.abc import Collection, Iterable

__all__ = ["prefixes", "topmost"]


def prefixes(key: str) -> list[str]:
    """The modules above a key, the topmost first.

    >>> prefixes("layer4.2.weight")
    ['layer4', 'layer4.2']
    """
    segments = key.split(".")
    return [".".join(segments[:length]) for length in range(1, len(segments))]


def topmost(found: Iterable[str], universe: Collection[str]) -> tuple[dict[str, int], list[str]]:
    """The topmost subtrees of `universe` that lie in `found` as a whole, with their sizes; and the keys in none.

    The root is not among them, nor is what has one key only.

    >>> topmost(["fc.weight", "fc.bias", "a.x"], ["fc.weight", "fc.bias", "a.x", "a.y"])
    ({'fc': 2}, ['a.x'])
    """
    inside: dict[str, int] = {}
    everywhere: dict[str, int] = {}
    for counts, names in ((inside, found := list(found)), (everywhere, universe)):
        for name in names:
            for prefix in prefixes(name):
                counts[prefix] = counts.get(prefix, 0) + 1
    tops: dict[str, int] = {}
    alone: list[str] = []
    for name in found:
        top = next((prefix for prefix in prefixes(name) if inside[prefix] == everywhere[prefix]), None)
        if top is None or inside[top] == 1:
            alone.append(name)
        else:
            tops[top] = inside[top]
    return tops, alone
