"""``hf:org/repo/recipes/clean.yaml@revision``: a recipe in a model repository on the Hugging Face Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.formats.file import open_file
from surgery.places.hf import HfScheme
from surgery.places.place import Place
from surgery.planning.context import Context
from surgery.references import REFERENCES
from surgery.references.base import Found, InnerReference, Words, bad_reference

__all__ = ["HfReference"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


@REFERENCES.register("hf")
@dataclass(frozen=True, slots=True)
class HfReference(InnerReference):
    """A recipe beside the weights that it is for, through huggingface_hub, with its cache and tokens.

    A revision that is no commit counts as a branch: the hub does not say which it is.
    """

    example: ClassVar[str] = "hf:org/repo/recipes/clean.yaml@main"

    repository: str
    revision: str | None

    @classmethod
    def parse(cls, words: Words) -> Self:
        owner, _, rest = words.location.partition("/")
        name, _, path = rest.partition("/")
        if words.path or not (owner and name and path):
            raise bad_reference(words, cls.example)
        return cls(cls.inside(path, words.text, words.span), f"{owner}/{name}", words.revision)

    @classmethod
    def collection(cls, words: Words) -> list[Found]:
        from huggingface_hub import HfApi, errors

        if words.path or words.location.count("/") != 1:
            raise bad_reference(words, "hf:org/repo")
        try:
            names = HfApi().list_repo_files(words.location, revision=words.revision)
        except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
            message = f"`{words.text}` cannot be listed: {str(error).strip().splitlines()[0]}"
            raise fail("download", message, words.span, cause=error) from error
        files = sorted(name for name in names if name.endswith((".yaml", ".yml")))
        return [cls(name, words.location, words.revision).find(words.span) for name in files]

    @property
    def is_pinned(self) -> bool:
        """Whether it names a commit."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    def permission(self) -> str | None:
        if not self.is_pinned:
            return "network"
        try:
            HfScheme.locate(self._place(None), Context())
        except SurgeryError:
            return "network"
        return None

    def commit(self, span: Span | None) -> str | None:
        return self.revision if self.is_pinned else self._commit(self._file(span))

    def pinned(self, commit: str) -> HfReference:
        return replace(self, revision=commit)

    def find(self, span: Span | None) -> Found:
        file = self._file(span)
        commit = self._commit(file)
        with open_file(file, str(self)) as opened:
            content = opened.whole("recipe")
        moving = not self.is_pinned
        return Found(self.pinned(commit), content, str(self), Path.cwd(), commit, is_moving=moving, is_foreign=True)

    def _file(self, span: Span | None) -> Path:
        # whoever names a recipe was asked already
        return HfScheme.locate(self._place(span), Context(allow=frozenset({"network"})))

    def _commit(self, file: Path) -> str:
        """The commit of a file in the hub's cache, which stands there under ``snapshots/COMMIT/``."""
        return file.parts[-1 - len(self.path.split("/"))]

    def _place(self, span: Span | None) -> Place:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return Place(f"hf://{self.repository}{revision}/{self.path}", span=span)

    def __str__(self) -> str:
        return f"hf:{self.repository}/{self.path}" + (f"@{self.revision}" if self.revision else "")
