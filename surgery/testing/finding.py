"""The recipes among the files below a path."""

from __future__ import annotations

import os
from collections.abc import Iterable

from surgery.catalogue import catalogue
from surgery.diagnostics import fail

__all__ = ["recipes_below"]


def recipes_below(paths: Iterable[str]) -> list[str]:
    """Files and names as they are, and of directories every recipe in them, however deep; each once.

    Hidden files and directories are left out, and so are YAML files that are no recipes.

    Raises:
        SurgeryError: ``no-file``; a directory without recipes.
    """
    found: dict[str, None] = {}
    for path in paths:
        if not os.path.isdir(path):
            found[path] = None
            continue
        inside = [entry.name for entry in catalogue(path)]
        if not inside:
            raise fail("no-file", f"there are no recipes in `{path}`")
        found |= dict.fromkeys(inside)
    return list(found)
