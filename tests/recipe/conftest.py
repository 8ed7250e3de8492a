"""Recipes that somebody's cat walked over."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from surgery.library import shipped

BITS = list(" \n\t:#-'\"*&!|>{}[](),$%@`.→\\0aé😀\x00\u2028")
BITS += [
    "->",
    "**",
    "{i}",
    "via",
    "  ",
    "\n  - ",
    "$x",
    "${",
    "old.",
    " if ",
    " except ",
    "null",
    "[]",
    "\n\n",
    " # x\n",
]


@pytest.fixture(scope="session")
def mutants() -> Callable[[int, int], Iterator[str]]:
    """Mutated shipped recipes: characters deleted, repeated, inserted, replaced, parts of others pasted in."""
    texts = [path.read_text(encoding="utf-8") for path in shipped().values()]

    def make(seed: int, count: int) -> Iterator[str]:
        chance = random.Random(seed)
        for _ in range(count):
            text = chance.choice(texts)
            for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
                start = chance.randrange(len(text) + 1)
                end = min(len(text), start + chance.choice([1, 1, 2, 5, 20, 100]))
                other = chance.choice(texts)
                place = chance.randrange(len(other))
                text = chance.choice(
                    [
                        text[:start] + text[end:],
                        text[:end] + text[start:],
                        text[:start] + chance.choice(BITS) + text[start:],
                        text[:start] + chance.choice(BITS) + text[end:],
                        text[:start] + other[place : place + 40] + text[start:],
                    ]
                )
            yield text

    return make
