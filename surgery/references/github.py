"""``github:org/repo//clean.yaml@v1``: a recipe in a repository on GitHub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from surgery.references import REFERENCES
from surgery.references.base import Words, bad_reference
from surgery.references.git import GitReference

__all__ = ["GithubReference"]

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_HOST = "https://github.com/"


@REFERENCES.register("github")
@dataclass(frozen=True, slots=True)
class GithubReference(GitReference):
    """The short form of ``git+https://github.com/org/repo//…``."""

    example: ClassVar[str] = "github:org/repo//recipes/clean.yaml@v1"

    @classmethod
    def address_of(cls, words: Words) -> str:
        if not _REPOSITORY.fullmatch(words.location):
            raise bad_reference(words, cls.example)
        return f"{_HOST}{words.location}"

    @property
    def place(self) -> str:
        """``github:org/repo``."""
        return f"github:{self.address.removeprefix(_HOST)}"
