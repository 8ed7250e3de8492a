"""What differs between two locks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgery.diagnostics import SurgeryError
from surgery.document.characters import decode
from surgery.locking.lock import Lock, LockedRecipe
from surgery.locking.vendored import Vendored
from surgery.references.base import Found
from surgery.references.parse import parse_reference

__all__ = ["Change", "changes", "updated"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not what it was locked to.

    Attributes:
        name: the reference, or the place of the source.
        before: what it was, in a few words; empty where it is new.
        after: what it is.
        difference: of a recipe, the lines that changed, as a unified difference; None where the old text is not here.
    """

    name: str
    before: str
    after: str
    difference: tuple[str, ...] | None = ()


def changes(before: Lock, after: Lock, found: Mapping[str, Found], vendored: Vendored) -> list[Change]:
    """What of `after` is not in `before`, or other there.

    Args:
        found: the recipes of `after`, by reference.
        vendored: copies, in which the old texts are looked for first.
    """
    recipes = [
        Change(name, _commit(old), _commit(new), _difference(name, old, found[name], vendored))
        for name, new in after.recipes.items()
        if (old := before.recipes.get(name)) != new
    ]
    sources = [
        Change(place, _files(before.sources.get(place)), _files(files))
        for place, files in after.sources.items()
        if before.sources.get(place) != files
    ]
    return recipes + sources


def updated(before: Lock, after: Lock) -> Lock:
    """`before` with all of `after`; what stood in it at commits that nothing is locked to any more goes."""
    gone = {old.commit for name, old in before.recipes.items() if after.recipes.get(name, old) != old and old.commit}
    kept = {name: recipe for name, recipe in before.recipes.items() if name.rpartition("@")[2] not in gone}
    return Lock({**kept, **after.recipes}, {**before.sources, **after.sources})


def _commit(recipe: LockedRecipe | None) -> str:
    return "" if recipe is None else (recipe.commit or f"sha256 {recipe.sha256}")[:19]


def _files(files: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} {file.sha256[:12]}" for name, file in sorted((files or {}).items()))


def _difference(name: str, old: LockedRecipe | None, new: Found, vendored: Vendored) -> tuple[str, ...] | None:
    if old is None:
        return ()
    if old.commit is None:
        return None
    try:
        pinned = parse_reference(name).pinned(old.commit)
        before = vendored.recipe(pinned, old) or pinned.find(None)
    except SurgeryError:
        return None
    lines = [decode(found.content, name).splitlines() for found in (before, new)]
    return tuple(difflib.unified_diff(lines[0], lines[1], old.commit, new.commit or "", lineterm="", n=2))
