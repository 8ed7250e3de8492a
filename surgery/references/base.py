"""What a reference is: where a recipe lies, and how its text is got."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar, Self

from surgery.diagnostics import Span, SurgeryError, fail

__all__ = ["Found", "InnerReference", "Reference", "Words", "bad_reference"]


@dataclass(frozen=True, slots=True)
class Words:
    """The parts of a reference as the grammar tells them.

    Attributes:
        text: the whole of it.
        location: what follows the kind: an owner and a repository, an address, a package.
        path: what follows two slashes.
        revision: what follows ``@``.
        span: its place in the recipe that names it; None for one that the caller names.
    """

    text: str
    location: str
    path: str | None = None
    revision: str | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A recipe as it was found.

    Attributes:
        reference: where; of a repository, at the commit that was found.
        content: its text, in bytes.
        display: what messages call it.
        directory: what relative places in it are relative to.
        commit: the commit that it is of, where there is one.
        is_moving: whether the same reference may be another recipe tomorrow without anybody meaning it: a branch.
        is_foreign: whether it came from somewhere else, so that it may read and write only what its caller names.
    """

    reference: Reference
    content: bytes
    display: str
    directory: Path
    commit: str | None = None
    is_moving: bool = False
    is_foreign: bool = False

    @property
    def sha256(self) -> str:
        """The SHA-256 digest of its text."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Reference:
    """The base of all kinds of references; each is a frozen dataclass of its own, and adding one is adding one file.

    Attributes:
        example: one of them.
    """

    example: ClassVar[str] = ""

    @classmethod
    def parse(cls, words: Words) -> Self:
        """The reference of these parts.

        Raises:
            SurgeryError: ``reference``: they name no recipe.
        """
        raise NotImplementedError

    @classmethod
    def collection(cls, words: Words) -> list[Found]:
        """Every YAML file of the repository, package or directory that these parts name, in the order of their names.

        Raises:
            SurgeryError: ``reference``: they name none; it cannot be got.
        """
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """What is the same of two references where they name the same recipe."""
        return str(self)

    @property
    def stem(self) -> str:
        """What a recipe is called that gives itself no name: its file, without the suffix."""
        return Path(str(self)).stem

    def settled(self) -> Reference:
        """The same wherever the process goes: a relative path becomes an absolute one."""
        return self

    def permission(self) -> str | None:
        """The permission that a recipe needs to name this one; None where it needs none."""
        return None

    def beside(self, path: str, span: Span | None) -> Reference:
        """The reference that the relative `path` is, where it stands in the recipe that this one names.

        Raises:
            SurgeryError: ``reference``: it leads out of what the recipe belongs to.
        """
        raise NotImplementedError

    def commit(self, span: Span | None) -> str | None:
        """The commit that it leads to now; None for a kind without commits.

        Raises:
            SurgeryError: ``download``: nobody can be asked.
        """
        return None

    def pinned(self, commit: str) -> Reference:
        """The same at a commit."""
        return self

    def find(self, span: Span | None) -> Found:
        """The recipe. `span` is the place of the reference, for errors.

        Raises:
            SurgeryError: there is none, or it cannot be got.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class InnerReference(Reference):
    """The base of references to a recipe inside something whole: a repository, a package.

    Attributes:
        whole: what it may not lead out of, in words.
        path: its place there.
    """

    whole: ClassVar[str] = "the repository"

    path: str

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem

    @classmethod
    def inside(cls, path: str, text: str, span: Span | None) -> str:
        """A path inside the whole, without dots.

        Args:
            path: with slashes.
            text: what somebody wrote, for the error.

        Raises:
            SurgeryError: ``reference``: it leads out.
        """
        normal = posixpath.normpath(path)
        if normal.startswith(("/", "..")) or "\\" in normal:
            raise fail("reference", f"`{text}` leads out of {cls.whole}", span)
        return normal

    def beside(self, path: str, span: Span | None) -> Self:
        joined = posixpath.join(posixpath.dirname(self.path), path)
        return replace(self, path=self.inside(joined, path, span))


def bad_reference(words: Words, example: str, *notes: str) -> SurgeryError:
    """The error about parts that name no recipe."""
    return fail("reference", f"`{words.text}` names no recipe", words.span, (*notes, f"such as `{example}`"))
