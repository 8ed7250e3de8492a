"""The lock file: a YAML mapping, sorted, an entry for each reference and each source, so that versions of it merge.

::

    lock: 1
    surgery: 1
    recipes:
      github:org/repo//clean.yaml@v1:
        commit: 0123456789abcdef0123456789abcdef01234567
        sha256: …
    sources:
      hf://org/repo/model.safetensors:
        model.safetensors: {size: 44661420, sha256: …}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surgery.content import FORMAT
from surgery.diagnostics import Span, SurgeryError, fail
from surgery.document import MapNode, Node, Scalar
from surgery.document.characters import decode
from surgery.document.emit import emit
from surgery.document.nodes import plain
from surgery.document.parse import parse_document
from surgery.formats.file import open_file
from surgery.references.repository import is_commit

__all__ = ["LOCK_FILE", "Lock", "LockedFile", "LockedRecipe", "lock_text", "read_lock"]

LOCK_FILE = "surgery.lock"
_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ANEW = "remove it: `surgery lock` writes it anew"
_HEAD = "# `surgery lock` writes this file, `surgery update` shows what has changed since.\n"


@dataclass(frozen=True, slots=True)
class LockedRecipe:
    """A recipe: the digest of its text, the commit that it is of, if there is one, and whether it follows a branch."""

    sha256: str
    commit: str | None = None
    is_moving: bool = False


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file of a source: its digest, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Lock:
    """What was locked.

    Attributes:
        recipes: by reference.
        sources: the files of each source, by the source's place and their names below its directory.
    """

    recipes: Mapping[str, LockedRecipe] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, LockedFile]] = field(default_factory=dict)


def lock_text(lock: Lock) -> str:
    """The text of a lock file.

    >>> print(lock_text(Lock({"builtin:soup": LockedRecipe("00" * 4)})), end="")
    # `surgery lock` writes this file, `surgery update` shows what has changed since.
    lock: 1
    surgery: 1
    recipes:
      builtin:soup: {sha256: "00000000"}
    """
    recipes = {
        name: {
            **({"commit": recipe.commit} if recipe.commit else {}),
            "sha256": recipe.sha256,
            **({"moving": True} if recipe.is_moving else {}),
        }
        for name, recipe in sorted(lock.recipes.items())
    }
    sources = {
        place: {name: {"size": file.size, "sha256": file.sha256} for name, file in sorted(files.items())}
        for place, files in sorted(lock.sources.items())
    }
    parts = {"recipes": recipes, "sources": sources}
    head: dict[str, Any] = {"lock": _VERSION, "surgery": FORMAT}
    return _HEAD + emit({**head, **{name: part for name, part in parts.items() if part}})


def read_lock(directory: Path) -> Lock | None:
    """The lock of a directory; None where there is none.

    Raises:
        SurgeryError: ``lock-file``: it is none, or one of a later version.
    """
    file = directory / LOCK_FILE
    if not file.exists():
        return None
    try:
        with open_file(file) as opened:
            document = parse_document(decode(opened.whole("recipe"), str(file)), str(file))
    except SurgeryError as error:
        note = "where two versions were merged, keep the entries of both; or remove it: `surgery lock` writes it anew"
        raise _bad(f"`{file}` cannot be read", error.diagnostics[0].span, note) from error
    version = document.get("lock") if isinstance(document, MapNode) else None
    if not isinstance(version, Scalar) or version.value != _VERSION:
        raise _bad(f"`{file}` is no lock of this version", document.span, f"it says `lock: {_VERSION}`")
    assert isinstance(document, MapNode)
    recipes = {name: _recipe(name, node) for name, node in _mapping(document, "recipes")}
    sources = {
        place: {name: _file(name, inner) for name, inner in _pairs(node, place)}
        for place, node in _mapping(document, "sources")
    }
    return Lock(recipes, sources)


def _bad(message: str, span: Span | None, note: str) -> SurgeryError:
    return fail("lock-file", message, span, (note,))


def _mapping(document: MapNode, word: str) -> list[tuple[str, Node]]:
    node = document.get(word)
    return [] if node is None else _pairs(node, word)


def _pairs(node: Node, what: str) -> list[tuple[str, Node]]:
    if not isinstance(node, MapNode):
        raise _bad(f"a mapping stands below `{what}`", node.span, _ANEW)
    return list(node)


def _recipe(name: str, node: Node) -> LockedRecipe:
    match plain(node):
        case {"sha256": str(sha256), **rest} if _SHA256.fullmatch(sha256) and set(rest) <= {"commit", "moving"}:
            commit, is_moving = rest.get("commit"), rest.get("moving", False)
            if (commit is None or (isinstance(commit, str) and is_commit(commit))) and isinstance(is_moving, bool):
                return LockedRecipe(sha256, commit, is_moving)
    raise _bad(f"`{name}` has a `sha256`, and perhaps a `commit` and `moving`", node.span, _ANEW)


def _file(name: str, node: Node) -> LockedFile:
    match plain(node):
        case {"sha256": str(sha256), "size": int(size), **rest} if _SHA256.fullmatch(sha256) and not rest:
            return LockedFile(sha256, size)
    raise _bad(f"`{name}` has a `size` and a `sha256`", node.span, _ANEW)
