"""The recipes among the files below a path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from surgery.diagnostics import SurgeryError, fail
from surgery.document import ListNode, MapNode
from surgery.document.characters import decode
from surgery.document.parse import parse_document
from surgery.formats.file import open_file

__all__ = ["recipes_below"]

_SUFFIXES = (".yaml", ".yml")
#: a mapping with one of these is a recipe, and not a file of some other program
_WORDS = ("surgery", "source", "sources", "steps", "tests")


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
        inside = [name for name in _files(path) if _is_recipe(name)]
        if not inside:
            raise fail("no-file", f"there are no recipes in `{path}`")
        found |= dict.fromkeys(inside)
    return list(found)


def _files(directory: str) -> Iterator[str]:
    for parent, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield os.path.join(parent, name)


def _is_recipe(name: str) -> bool:
    """Whether a YAML file is a recipe; one that cannot be read is taken for one, so that this is said."""
    try:
        with open_file(Path(name), name) as opened:
            document = parse_document(decode(opened.whole("recipe"), name), name)
    except SurgeryError:
        return True
    if isinstance(document, ListNode):
        return False
    return isinstance(document, MapNode) and any(word in document for word in _WORDS)
