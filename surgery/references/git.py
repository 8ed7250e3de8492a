"""``git+https://host/org/repo//clean.yaml@v1``: a recipe in a git repository."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import unquote, urlsplit

from surgery.diagnostics import Span, fail
from surgery.permissions import include_permission
from surgery.references import REFERENCES
from surgery.references.base import Found, InnerReference, Words, bad_reference
from surgery.references.repository import commit_of, is_commit, is_kept, recipes_at
from surgery.suggest import did_you_mean

__all__ = ["GitReference"]


@REFERENCES.register("git+https")
@dataclass(frozen=True, slots=True)
class GitReference(InnerReference):
    """A recipe in a git repository, at a tag, a branch or a commit; without a revision, where its HEAD is.

    git itself fetches it, with the credentials that git has; no hook, filter or submodule of the repository runs, and
    of its files nothing but recipes is kept.
    """

    example: ClassVar[str] = "git+https://example.org/team/recipes//clean.yaml@v1"
    scheme: ClassVar[str] = "https"

    address: str
    revision: str | None

    @classmethod
    def parse(cls, words: Words) -> Self:
        if not words.path:
            note = "the path of the recipe stands behind the repository and two slashes"
            raise bad_reference(words, cls.example, note)
        return cls(cls.inside(words.path, words.text, words.span), cls.address_of(words), _revision(words))

    @classmethod
    def collection(cls, words: Words) -> list[Found]:
        address = cls.address_of(words)
        revision = _revision(words)
        commit, is_moving = commit_of(address, revision, words.span)
        return [
            cls(path, address, revision)._found(content, commit, is_moving=is_moving)
            for path, content in sorted(recipes_at(address, commit, words.span).items())
        ]

    @classmethod
    def address_of(cls, words: Words) -> str:
        """The address of the repository, for git.

        Raises:
            SurgeryError: ``reference``: it is none.
        """
        address = f"{cls.scheme}:{words.location}"
        if not words.location.startswith("//") or not _host(address):
            raise bad_reference(words, cls.example)
        return address

    def permission(self) -> str | None:
        is_here = self.revision is not None and is_commit(self.revision) and is_kept(self.address, self.revision)
        return None if is_here else "network"

    def commit(self, span: Span | None) -> str | None:
        return commit_of(self.address, self.revision, span)[0]

    def pinned(self, commit: str) -> GitReference:
        return replace(self, revision=commit)

    def find(self, span: Span | None) -> Found:
        commit, is_moving = commit_of(self.address, self.revision, span)
        recipes = recipes_at(self.address, commit, span)
        content = recipes.get(self.path)
        if content is None:
            near = did_you_mean(self.path, recipes)
            there = f"recipes there: {', '.join(f'`{name}`' for name in sorted(recipes)[:12])}" if recipes else None
            notes = [near or there or "there are no recipes in it"]
            raise fail("no-file", f"there is no recipe `{self.path}` in `{self.address}` at {commit[:12]}", span, notes)
        return self._found(content, commit, is_moving=is_moving)

    def _found(self, content: bytes, commit: str, *, is_moving: bool) -> Found:
        pinned = self.pinned(commit)
        return Found(pinned, content, str(self), Path.cwd(), commit, is_moving=is_moving, is_foreign=True)

    @property
    def place(self) -> str:
        """Its repository as a reference has it: ``git+https://host/org/repo``."""
        return f"git+{self.address}"

    def __str__(self) -> str:
        return f"{self.place}//{self.path}" + (f"@{self.revision}" if self.revision else "")


@REFERENCES.register("git+http")
@dataclass(frozen=True, slots=True)
class _PlainReference(GitReference):
    """The same without encryption, which is for servers of this machine alone."""

    example: ClassVar[str] = "git+http://127.0.0.1:8000/recipes//clean.yaml@v1"
    scheme: ClassVar[str] = "http"

    @classmethod
    def address_of(cls, words: Words) -> str:
        address = f"{cls.scheme}:{words.location}"
        if not words.location.startswith("//") or not _is_this_machine(_host(address)):
            note = "over `git+https://`, nobody on the way can change what is fetched"
            raise fail("reference", "`git+http://` is for servers of this machine alone", words.span, (note,))
        return address


@REFERENCES.register("git+file")
@dataclass(frozen=True, slots=True)
class _LocalReference(GitReference):
    """A recipe in a git repository of this machine."""

    example: ClassVar[str] = "git+file:///srv/recipes//clean.yaml@v1"
    scheme: ClassVar[str] = "file"

    @classmethod
    def address_of(cls, words: Words) -> str:
        if not words.location.startswith("///"):
            raise bad_reference(words, cls.example, "the path of the repository is absolute, and begins with `///`")
        return f"{cls.scheme}:{words.location}"

    def permission(self) -> str | None:
        return include_permission(unquote(self.address.removeprefix("file://")))


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_this_machine(host: str | None) -> bool:
    try:
        return host == "localhost" or (host is not None and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _revision(words: Words) -> str | None:
    revision = words.revision
    if revision is not None and (revision.startswith("-") or ".." in revision or set(revision) & set("~^:?*[\\")):
        note = "a tag, a branch, or a commit of 40 digits"
        raise fail("reference", f"`{revision}` is no revision", words.span, (note,))
    return revision
