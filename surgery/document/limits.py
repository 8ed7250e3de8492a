"""How much of a document is read before it counts as absurd: far beyond any recipe, and small enough to be quick."""

from __future__ import annotations

from typing import Final

__all__ = ["DEEPEST", "LONGEST", "MOST_ALIASES", "MOST_NODES"]

#: characters of a document
LONGEST: Final = 1_000_000
#: lists and mappings inside each other
DEEPEST: Final = 100
#: scalars, lists and mappings, those that aliases repeat included
MOST_NODES: Final = 50_000
#: aliases (``*name``)
MOST_ALIASES: Final = 100
