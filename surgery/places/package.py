"""``package://pkg/file``: a file that an installed package ships. The package is found, and not imported."""

from __future__ import annotations

import importlib.util
import os
import re
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import ClassVar

from surgery.diagnostics import fail
from surgery.formats.file import unreadable
from surgery.places.place import Place
from surgery.places.scheme import SCHEMES, Scheme
from surgery.planning.context import Context

__all__ = ["PackageScheme"]


@SCHEMES.register("package")
class PackageScheme(Scheme):
    """A file in an installed package."""

    example: ClassVar[str] = "package://my_weights/models/resnet50.pth"
    is_here: ClassVar[bool] = True

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        package, _, inside = place.path.removeprefix("package://").partition("/")
        if not package.isidentifier() or not _is_inside(inside):
            notes = ("`package://PACKAGE/FILE`, the package by its name in Python, without dots",)
            raise fail("place", f"`{place}` names no file of a package", place.span, notes)
        directories = _directories(package)
        if not directories:
            raise fail("no-package", f"the package `{package}` is not installed", place.span, (_how_to(package),))
        for directory in directories:
            if os.path.exists(directory / inside):
                return directory / inside
        missing = directories[0] / inside
        raise unreadable(missing, str(place), FileNotFoundError())


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path


def _directories(package: str) -> list[Path]:
    """Where the files of a package lie. Finding a top-level package imports nothing of it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return [Path(location) for location in (spec.submodule_search_locations or ())] if spec else []


def _how_to(package: str) -> str:
    """What would install it: an extra of this project where one does, else a distribution of the same name."""
    name = _normalised(package)
    for requirement in _requirements():
        wanted, _, marker = requirement.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if extra and _normalised(re.split(r"[\s<>=!~\[(]", wanted.strip())[0]) == name:
            return f"`pip install 'surgery[{extra[1]}]'` installs it"
    return f"`pip install {name}` may install it, if its distribution bears that name"


def _requirements() -> list[str]:
    try:
        return metadata.requires("surgery") or []
    except metadata.PackageNotFoundError:
        return []


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
