"""``builtin:vit/timm_to_transformers``: a recipe that ships with surgery."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from surgery.diagnostics import Span, fail
from surgery.library import shipped
from surgery.references import REFERENCES
from surgery.references.base import Found, Reference, Words, bad_reference
from surgery.suggest import did_you_mean

__all__ = ["BuiltinReference"]


@REFERENCES.register("builtin")
@dataclass(frozen=True, slots=True)
class BuiltinReference(Reference):
    """A recipe of the shipped library, by its name there: ``surgery list recipes`` shows them."""

    example: ClassVar[str] = "builtin:vit/timm_to_transformers"

    name: str

    @classmethod
    def parse(cls, words: Words) -> Self:
        if words.path or words.revision:
            raise bad_reference(words, cls.example)
        return cls(words.location.removesuffix(".yaml"))

    @classmethod
    def collection(cls, words: Words) -> list[Found]:
        return [cls(name).find(words.span) for name in shipped() if name.startswith(words.location)]

    @property
    def stem(self) -> str:
        return Path(self.name).name

    def beside(self, path: str, span: Span | None) -> BuiltinReference:
        return BuiltinReference(
            posixpath.normpath(posixpath.join(posixpath.dirname(self.name), path)).removesuffix(".yaml")
        )

    def find(self, span: Span | None) -> Found:
        file = shipped().get(self.name)
        if file is None:
            notes = (did_you_mean(self.name, shipped()) or "`surgery list recipes` shows the shipped ones",)
            raise fail("no-file", f"there is no shipped recipe `{self.name}`", span, notes)
        # what a shipped recipe reads and writes belongs to the caller, and not into the library
        return Found(self, file.read_bytes(), str(self), Path.cwd())

    def __str__(self) -> str:
        return f"builtin:{self.name}"
