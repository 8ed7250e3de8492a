"""Schemes of addresses: how ``https://…`` becomes a file on this machine."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import ClassVar

from surgery.diagnostics import SurgeryError, fail
from surgery.formats.file import open_file
from surgery.places.place import Place
from surgery.planning.context import Context
from surgery.registry import Registry
from surgery.suggest import did_you_mean

__all__ = ["SCHEMES", "Scheme", "digest_of", "locate", "need_network"]

_PIECE = 1 << 23


class Scheme:
    """A kind of address. Adding one is adding one file.

    Attributes:
        example: an address.
        is_here: whether what it names are files of this machine, which a recipe from elsewhere may not read by itself.
    """

    example: ClassVar[str] = ""
    is_here: ClassVar[bool] = False

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        """The file, or the directory, on this machine, fetched if need be.

        Raises:
            SurgeryError: it is not there, cannot be fetched, or may not be.
        """
        raise NotImplementedError


#: what stands before ``://``, or ``path`` -> scheme
SCHEMES: Registry[type[Scheme]] = Registry("surgery.places")


def locate(place: Place, context: Context) -> Path:
    """The file or directory that a place stands for, its digest checked if the place gives one.

    Raises:
        SurgeryError: ``place`` for an address of no known kind, ``no-file``, ``not-allowed`` without permission for the
            network, ``download``, ``wrong-digest``.
    """
    try:
        found = _copied(place, context) or _scheme(place, context).locate(place, context)
        if place.sha256 is not None:
            _check_digest(place, found)
    except SurgeryError as error:
        raise error.placed(place.span) from error
    return found


def _copied(place: Place, context: Context) -> Path | None:
    """Where `surgery vendor` copied it."""
    return context.pins.vendored(place.path) if context.pins is not None and place.base is None else None


def _scheme(place: Place, context: Context) -> type[Scheme]:
    name, colon, _ = place.path.partition("://")
    scheme = SCHEMES.get(name if colon else "path")
    if scheme is None or name == "path":
        near = did_you_mean(name, SCHEMES)
        known = ", ".join(f"`{SCHEMES[scheme].example}`" for scheme in SCHEMES)
        raise fail("place", f"there are no places of the kind `{name}://`", place.span, (near or f"places: {known}",))
    if scheme.is_here and context.is_foreign and place.base is None:
        note = "a recipe from elsewhere reads no file but those that its caller names, for its parameters"
        raise fail("not-allowed", f"`{place}` is a file of this machine", place.span, (note,))
    return scheme


def need_network(place: Place, context: Context) -> None:
    """Refuse to use the network without permission.

    Raises:
        SurgeryError: ``not-allowed``.
    """
    if "network" not in context.allow:
        note = "`--allow network`, or `allow=['network']` in Python, lets a recipe use it"
        raise fail("not-allowed", f"`{place}` needs the network, and nobody allowed that", place.span, (note,))


def digest_of(path: Path, name: str) -> str:
    """The SHA-256 digest of a file, in hexadecimal digits, read piece by piece."""
    digest = hashlib.sha256()
    with open_file(path, name) as file:
        at = 0
        while piece := file.read(at, _PIECE):
            digest.update(piece)
            at += len(piece)
    return digest.hexdigest()


def _check_digest(place: Place, found: Path) -> None:
    if os.path.isdir(found):
        raise fail("wrong-digest", f"`{place}` is a directory, which has no digest", place.span)
    actual = digest_of(found, str(place))
    if actual != place.sha256:
        notes = [f"expected {place.sha256}", f"found    {actual}"]
        if "://" in str(place):
            notes.append(f"the copy that was read: `{found}`")
        raise fail("wrong-digest", f"`{place}` is not the file that the recipe means", place.span, notes)
