"""Recipes of git repositories: fetched by git itself, and kept by commit.

Of a repository nothing but its recipes is kept: one JSON file for each commit, path -> text, which appears whole or not
at all, and never changes. The clone that it was made from is temporary, bare and shallow, so that nothing is ever
checked out: no hook, filter, submodule or symbolic link of a repository has a say.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from surgery.diagnostics import Span, fail
from surgery.files.text import write_text
from surgery.formats.file import open_file
from surgery.limits import limits
from surgery.places.cache import cache_directory
from surgery.references.git_command import GitFailed, git

__all__ = ["commit_of", "is_commit", "is_kept", "recipes_at"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATED = re.compile(r"[0-9a-f]{4,39}")
_REGULAR = (b"100644", b"100755")
_SUFFIXES = (".yaml", ".yml")
#: recipes of one commit: more are no library of recipes
_MOST = 20_000


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit, and so names the same content for ever."""
    return _COMMIT.fullmatch(revision) is not None


def commit_of(address: str, revision: str | None, span: Span | None = None) -> tuple[str, bool]:
    """The commit that a revision is now, and whether it moves by itself, as a branch does and a tag does not.

    Raises:
        SurgeryError: ``download``: git cannot ask the repository, or it has no such revision.
    """
    if revision is not None and is_commit(revision):
        return revision, False
    wanted = ["HEAD"] if revision is None else _names(revision)
    try:
        answer = git("ls-remote", "--", address, *wanted, address=address).decode("utf-8", "replace")
    except GitFailed as error:
        raise fail("download", f"git cannot read `{address}`", span, error.lines) from error
    found = {name: commit for commit, _, name in (line.partition("\t") for line in answer.splitlines())}
    for name in wanted:
        if is_commit(found.get(name, "")):
            return found[name], not name.startswith("refs/tags/")
    if revision is None:
        note = "it is empty"
    elif _ABBREVIATED.fullmatch(revision):
        note = "abbreviated commits are not looked up: a commit has 40 digits"
    else:
        note = f"`git ls-remote {address}` shows its tags and branches"
    raise fail("download", f"`{address}` has no revision `{revision or 'HEAD'}`", span, (note,))


def _names(revision: str) -> list[str]:
    """The names that a revision may be short for; a tag goes before a branch, what it points at before the tag."""
    if revision.startswith("refs/"):
        return [f"{revision}^{{}}", revision]
    return [f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}", f"refs/heads/{revision}"]


def recipes_at(address: str, commit: str, span: Span | None = None) -> dict[str, bytes]:
    """The recipes of a commit by their paths, fetched once.

    Raises:
        SurgeryError: ``download``: git cannot fetch it.
    """
    kept = _kept(address, commit)
    if not kept.exists():
        try:
            with tempfile.TemporaryDirectory(prefix="surgery-") as clone:
                recipes = _fetched(Path(clone), address, commit)
        except GitFailed as error:
            raise fail("download", f"git cannot fetch {commit[:12]} of `{address}`", span, error.lines) from error
        # JSON has no bytes: what is not UTF-8 is kept in surrogates, and stays what it was
        text = json.dumps({path: content.decode("utf-8", "surrogateescape") for path, content in recipes.items()})
        write_text(kept, text, overwrite=True)
    return _read(kept)


def is_kept(address: str, commit: str) -> bool:
    """Whether the recipes of a commit are here already."""
    return _kept(address, commit).exists()


def _kept(address: str, commit: str) -> Path:
    return cache_directory("recipes") / hashlib.sha256(address.encode()).hexdigest()[:32] / f"{commit}.json"


def _read(kept: Path) -> dict[str, bytes]:
    with open_file(kept) as file:
        try:
            found = json.loads(file.read(0, file.size))
            return {path: text.encode("utf-8", "surrogateescape") for path, text in found.items()}
        except (ValueError, AttributeError) as error:
            raise fail("download", f"`{kept}` is damaged", notes=("remove it, and it is fetched anew",)) from error


def _fetched(clone: Path, address: str, commit: str) -> dict[str, bytes]:
    """The recipes of a commit: regular files that end in ``.yaml`` or ``.yml``, with plain paths."""
    form = "sha256" if len(commit) == 64 else "sha1"
    git("init", "--quiet", "--bare", "--template=", f"--object-format={form}", "--", str(clone))
    fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
    try:
        sparing = ("--depth=1", f"--filter=blob:limit={limits().recipe + 1}")
        git(*fetch, *sparing, "--", address, commit, address=address, at=clone)
    except GitFailed as error:
        if any("not our ref" in line for line in error.lines):
            raise
        # servers of plain files know neither; old ones want the name of a branch
        git(*fetch, "--", address, "+refs/*:refs/*", address=address, at=clone)
    # what the filter left out is not there, and not asked for: the setting that says where goes, if there is one
    git("config", "--replace-all", f"remote.{address}.promisor", "true", at=clone)
    git("config", "--remove-section", f"remote.{address}", at=clone)
    listing = git("ls-tree", "-r", "-z", commit, at=clone)
    recipes = dict(found for line in listing.split(b"\0") if (found := _recipe(line)))
    if len(recipes) > _MOST:
        raise GitFailed([f"the repository has {len(recipes)} YAML files, more than {_MOST}"])
    contents = git("cat-file", "--batch", at=clone, given=b"".join(blob + b"\n" for blob in recipes.values()))
    return {path: content for path, content in zip(recipes, _blobs(contents), strict=True) if content is not None}


def _recipe(line: bytes) -> tuple[str, bytes] | None:
    """The path and the blob of a line of a tree; None for what is no recipe."""
    facts, _, name = line.partition(b"\t")
    path = name.decode("utf-8", "replace")
    # what is no text, or not printable, can be named by no reference
    is_plain = all(part not in ("", ".", "..") for part in path.split("/")) and "\\" not in path
    if not facts.startswith(_REGULAR) or not path.endswith(_SUFFIXES) or not is_plain or not _is_text(path):
        return None
    return path, facts.split()[-1]


def _is_text(path: str) -> bool:
    return path.isprintable() and "\ufffd" not in path


def _blobs(answers: bytes) -> Iterator[bytes | None]:
    """The contents in what ``git cat-file --batch`` prints; None for what is not there, or is too long for a recipe."""
    at = 0
    while at < len(answers):
        end = answers.index(b"\n", at)
        size = answers[at:end].rpartition(b" ")[2]
        at = end + 1
        if size == b"missing":
            yield None
            continue
        yield answers[at : at + int(size)] if int(size) <= limits().recipe else None
        at += int(size) + 1
