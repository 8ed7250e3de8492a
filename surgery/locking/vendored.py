"""What `surgery vendor` copied beside a lock: recipes by their digests, sources by their places.

::

    surgery.vendor/recipes/<SHA-256 of the text>.yaml
    surgery.vendor/sources/<beginning of the SHA-256 of the place>/<files>
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from surgery.formats.file import open_file
from surgery.locking.lock import LockedFile, LockedRecipe
from surgery.references.base import Found, Reference

__all__ = ["VENDOR_DIRECTORY", "Vendored"]

VENDOR_DIRECTORY = "surgery.vendor"


class Vendored:
    """The copies below the directory of a lock.

    Args:
        directory: that of the lock.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory / VENDOR_DIRECTORY

    def recipe_file(self, locked: LockedRecipe) -> Path:
        """Where the copy of a recipe is, or would be."""
        return self.directory / "recipes" / f"{locked.sha256}.yaml"

    def source_directory(self, place: str) -> Path:
        """Where the copies of a source's files are, or would be."""
        return self.directory / "sources" / hashlib.sha256(place.encode()).hexdigest()[:16]

    def recipe(self, pinned: Reference, locked: LockedRecipe) -> Found | None:
        """The copy of a recipe of a repository; None where there is none."""
        file = self.recipe_file(locked)
        if locked.commit is None or not file.exists():
            return None
        with open_file(file) as opened:
            content = opened.whole("recipe")
        return Found(pinned, content, str(pinned), Path.cwd(), locked.commit, is_foreign=True)

    def source(self, place: str, locked: Mapping[str, LockedFile]) -> Path | None:
        """The copy of a source: the file that it names, or the directory of its files; None where one is not there."""
        directory = self.source_directory(place)
        if not locked or not all((directory / name).exists() for name in locked):
            return None
        name = next(iter(locked)) if len(locked) == 1 else place.rpartition("/")[2]
        return directory / name if name in locked else directory
