"""Permissions: what a recipe may not do by itself, and its caller may allow.

They come from the caller alone, as ``--allow WORD`` or ``allow=["WORD"]``: no recipe, no file and no environment
variable can give one.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

from surgery.diagnostics import Span, SurgeryError, escape, fail
from surgery.suggest import did_you_mean

__all__ = [
    "PERMISSIONS",
    "include_permission",
    "may_include",
    "may_unpickle",
    "permissions",
    "pickle_permission",
    "refused",
]

#: permission -> what it allows
PERMISSIONS = {
    "network": "to download what a recipe names",
    "include:PATH": "to use recipes of this file, directory or repository, outside the recipe's own directory",
    "import:PACKAGE": "to import `PACKAGE`, for layers and models of its own",
    "pickle": "to load every pickled module that a recipe names, which runs the code that it names",
    "pickle:PLACE": "the same for one file: its path, or its address as the recipe has it",
}
_PICKLE, _INCLUDE = "pickle:", "include:"


def permissions(words: Iterable[str] | str) -> frozenset[str]:
    """The permissions that a caller gives; paths are made absolute, and one text is one permission.

    Raises:
        SurgeryError: ``usage``: there is no such permission.

    >>> sorted(permissions(["network", "import:mypkg"]))
    ['import:mypkg', 'network']
    """
    return frozenset(_known(word) for word in ([words] if isinstance(words, str) else words))


def _known(word: str) -> str:
    kind, _, value = word.partition(":")
    if word in ("network", "pickle") or (kind == "import" and value.isidentifier()):
        return word
    if kind == "include" and value:
        return include_permission(value)
    if kind == "pickle" and value:
        return word if "://" in value else _PICKLE + os.path.abspath(os.path.expanduser(value))
    near = did_you_mean(word, PERMISSIONS)
    if kind == "import":
        near = "a package is named by one word: `import:mypkg`"
    message = f"there is no permission `{escape(word)}`"
    raise fail("usage", message, notes=(near or f"permissions: {', '.join(PERMISSIONS)}",))


def may_unpickle(allow: Collection[str], place: str, path: Path) -> bool:
    """Whether the caller allowed to load the pickled module of this file: `place` as the recipe has it, `path` here."""
    if "pickle" in allow or f"{_PICKLE}{place}" in allow:
        return True
    named = [word.removeprefix(_PICKLE) for word in allow if word.startswith(_PICKLE)]
    return any(os.path.realpath(name) == os.path.realpath(path) for name in named if "://" not in name)


def pickle_permission(place: str, path: Path) -> str:
    """The permission for the pickled module of one file, as the caller would write it from where it stands."""
    if "://" in place:
        return _PICKLE + place
    inside = os.path.relpath(path)
    return _PICKLE + (os.path.abspath(path) if inside.startswith("..") else inside)


def include_permission(path: str) -> str:
    """The permission to use the recipes of a file or a directory."""
    return _INCLUDE + os.path.abspath(os.path.expanduser(path))


def may_include(allow: Collection[str], permission: str) -> bool:
    """Whether the caller allowed to use the recipe that needs `permission`, or all of a directory that it is in."""
    if permission in allow:
        return True
    file = Path(os.path.realpath(permission.removeprefix(_INCLUDE)))
    named = [word.removeprefix(_INCLUDE) for word in allow if word.startswith(_INCLUDE)]
    return permission.startswith(_INCLUDE) and any(file.is_relative_to(os.path.realpath(name)) for name in named)


def refused(permission: str, message: str, span: Span | None, *notes: str) -> SurgeryError:
    """The error about what nobody allowed, with the exact permission."""
    typed = shlex.quote(permission)
    allow = f"`--allow {typed}`, or `allow=[{permission!r}]` in Python, allows it"
    return fail("not-allowed", message, span, (*notes, allow))
