"""``pkg:my_recipes/heads/linear.yaml``: a recipe that an installed package offers.

A package offers the recipes of a directory by an entry point of the group ``surgery.recipes``, whose name is what
references call it and whose value is the directory's module path::

    [project.entry-points."surgery.recipes"]
    my_recipes = "my_package.recipes"

The directory is found by its package's place on the disk. Nothing is imported.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import ClassVar, Self

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.formats.file import open_file
from surgery.references import REFERENCES
from surgery.references.base import Found, InnerReference, Words, bad_reference
from surgery.suggest import did_you_mean

__all__ = ["GROUP", "PackageReference", "offered"]

#: the group of entry points with which packages offer recipes
GROUP = "surgery.recipes"


@REFERENCES.register("pkg")
@dataclass(frozen=True, slots=True)
class PackageReference(InnerReference):
    """A recipe of an installed package that offers some; see `surgery.references.pkg`. Its package is not imported."""

    whole: ClassVar[str] = "the recipes of its package"
    example: ClassVar[str] = "pkg:my_recipes/heads/linear.yaml"

    package: str

    @classmethod
    def parse(cls, words: Words) -> Self:
        package, slash, path = words.location.partition("/")
        if not slash or words.path or words.revision:
            raise bad_reference(words, cls.example)
        return cls(cls.inside(path, words.text, words.span), package)

    @classmethod
    def collection(cls, words: Words) -> list[Found]:
        directory = _offer(words.location, words.span)
        files = sorted(file for suffix in ("*.yaml", "*.yml") for file in directory.rglob(suffix))
        return [cls(file.relative_to(directory).as_posix(), words.location).find(words.span) for file in files]

    def find(self, span: Span | None) -> Found:
        directory = _offer(self.package, span)
        try:
            with open_file(directory / self.path, str(self)) as opened:
                content = opened.whole("recipe")
        except SurgeryError as error:
            raise error.placed(span) from error
        return Found(self, content, str(self), Path.cwd(), is_foreign=True)

    def __str__(self) -> str:
        return f"pkg:{self.package}/{self.path}"


def offered() -> dict[str, Path]:
    """The directories of recipes that installed packages offer, by name."""
    found = {point.name: _directory(point.value) for point in metadata.entry_points(group=GROUP)}
    return {name: directory for name, directory in sorted(found.items()) if directory is not None}


def _offer(package: str, span: Span | None) -> Path:
    directory = offered().get(package)
    if directory is None:
        near = did_you_mean(package, offered())
        note = near or f"a package offers recipes by an entry point of the group `{GROUP}`"
        raise fail("no-package", f"no installed package offers recipes as `{package}`", span, (note,))
    return directory


def _directory(module: str) -> Path | None:
    """The directory of a module path; finding a top-level package imports nothing of it."""
    package, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = [Path(place, *inner) for place in (spec and spec.submodule_search_locations) or ()]
    return next((place for place in places if place.is_dir()), None)
