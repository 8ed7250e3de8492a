"""``clean.yaml``, ``../shared/clean.yaml``: a file of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.formats.file import open_file
from surgery.limits import limits
from surgery.permissions import include_permission
from surgery.references import REFERENCES
from surgery.references.base import Found, Reference, Words
from surgery.resources import resource

__all__ = ["PathReference"]


@REFERENCES.register("path")
@dataclass(frozen=True, slots=True)
class PathReference(Reference):
    """A path, relative to the recipe that names it; one that the caller names, to where the caller stands.

    A recipe may name those in the directory of the recipe that is run, and below. Others need the permission
    ``include:PATH``.
    """

    example: ClassVar[str] = "recipes/clean.yaml"

    path: str

    @classmethod
    def parse(cls, words: Words) -> Self:
        return cls(words.text)

    @classmethod
    def collection(cls, words: Words) -> list[Found]:
        directory = Path(words.text)
        if not directory.is_dir():
            raise fail("no-file", f"there is no directory `{words.text}`", words.span)
        files = [file for suffix in ("*.yaml", "*.yml") for file in directory.rglob(suffix)]
        return [
            Found(cls(str(file)), _content(file), str(file), file.parent)
            for file in sorted(files)
            if not any(part.startswith(".") for part in file.relative_to(directory).parts)
            # what is longer is data
            if file.is_file() and file.stat().st_size <= limits().recipe
        ]

    @property
    def identity(self) -> str:
        return os.path.realpath(self.path)

    def settled(self) -> PathReference:
        return PathReference(os.path.abspath(os.path.expanduser(self.path)))

    def permission(self) -> str | None:
        return include_permission(self.path)

    def beside(self, path: str, span: Span | None) -> PathReference:
        return PathReference(os.path.normpath(os.path.join(os.path.dirname(self.path), os.path.expanduser(path))))

    def find(self, span: Span | None) -> Found:
        file = Path(self.path)
        try:
            with open_file(file, self.path) as opened:
                if b"\0" in opened.head:
                    note = f"`surgery inspect {self.path}` shows what a checkpoint holds"
                    raise fail("yaml", f"`{self.path}` is no recipe: it is not text", notes=(note,))
                content = opened.whole("recipe")
        except SurgeryError as error:
            raise error.placed(span) from error
        # what a shipped recipe writes belongs to the caller, and not into the library
        is_shipped = file.resolve().is_relative_to(resource("recipes").resolve())
        return Found(self, content, self.path, Path.cwd() if is_shipped else file.parent)

    def __str__(self) -> str:
        return self.path


def _content(file: Path) -> bytes:
    with open_file(file, str(file)) as opened:
        return opened.whole("recipe")
