"""Locks of plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.formats.contents import Checkpoint
from surgery.locking.lock import Lock, LockedFile, LockedRecipe
from surgery.locking.pins import files_of, source_name
from surgery.provenance.digests import digests
from surgery.references.path import PathReference

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["joined", "lock_of"]


def lock_of(plan: Plan, directory: Path) -> Lock:
    """What a plan brought in and opened, but for what its caller named; all contents are read for their digests.

    Args:
        directory: that of the lock.

    Raises:
        SurgeryError: a source cannot be read.
    """
    recipes = {
        text: LockedRecipe(found.sha256, found.commit, found.is_moving)
        for text, found in plan.included.items()
        if not isinstance(found.reference, PathReference)
    }
    sources = {
        source_name(one.pinned_as, directory): _files(one.checkpoint)
        for one in plan.opened
        if one.checkpoint and one.pinned_as
    }
    return Lock(recipes, sources)


def _files(checkpoint: Checkpoint) -> dict[str, LockedFile]:
    files = files_of(checkpoint)
    found = digests(files.values())
    return {name: LockedFile(found[path], checkpoint.files[path].size) for name, path in files.items()}


def joined(locks: Iterable[Lock]) -> Lock:
    """Several locks as one; of what stands in several, the last counts."""
    recipes: dict[str, LockedRecipe] = {}
    sources: dict[str, Mapping[str, LockedFile]] = {}
    for lock in locks:
        recipes |= lock.recipes
        sources |= lock.sources
    return Lock(recipes, sources)
