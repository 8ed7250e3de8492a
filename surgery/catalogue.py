"""The recipes of a directory, a package or a repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from surgery.diagnostics import SurgeryError
from surgery.document import MapNode
from surgery.document.characters import decode
from surgery.document.parse import parse_document
from surgery.recipe import Recipe
from surgery.references.base import Found
from surgery.references.parse import collection

__all__ = ["Entry", "catalogue"]

#: words that only recipes have at their top level, together
_SIGNS = (("surgery",), ("steps",), *(("source", word) for word in ("expect", "output", "tests")))


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipe of a catalogue.

    Attributes:
        name: the reference that names it.
        recipe: what was read; None where something is wrong with it.
        error: what is wrong with it.
    """

    name: str
    recipe: Recipe | None
    error: SurgeryError | None = None


def catalogue(place: str) -> Iterator[Entry]:
    """The recipes that lie where a text says, in the order of their names. YAML files of other programs are left out.

    Args:
        place: a directory, ``builtin:``, ``pkg:NAME``, ``github:ORG/REPO@REV``, …

    Raises:
        SurgeryError: there is no such place, or it cannot be read.
    """
    for found in collection(place):
        try:
            if not _is_recipe(found):
                continue
            yield Entry(found.display, Recipe.of_found(found))
        except SurgeryError as error:
            yield Entry(found.display, None, error)


def _is_recipe(found: Found) -> bool:
    """Whether a YAML file is meant as a recipe: it says so, or has steps; or it cannot be read as YAML at all."""
    document = parse_document(decode(found.content, found.display), found.display)
    return isinstance(document, MapNode) and any(all(word in document for word in sign) for sign in _SIGNS)
