"""``hf://org/repo[@revision]/file``: a file of a model repository, or a directory, through huggingface_hub.

Its cache, its tokens, its offline switch and its setting of another endpoint are used as they are. What belongs
together, an index and its shards, is fetched from one commit, even if the branch moves meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from surgery.diagnostics import SurgeryError, fail
from surgery.formats.directory import the_checkpoint_among
from surgery.formats.sharded import shards_of
from surgery.places.place import Place
from surgery.places.scheme import SCHEMES, Scheme, need_network
from surgery.planning.context import Context
from surgery.suggest import did_you_mean

__all__ = ["HfScheme"]

_EXPECTED = "`hf://org/repo/file` or `hf://org/repo@revision/file`"
#: what an address of a download can hold: a signature, which is a key to it
_QUERY = re.compile(r"\?\S+")


@SCHEMES.register("hf")
class HfScheme(Scheme):
    """A file of a repository on the Hugging Face Hub, or the checkpoint in a directory; of an index, its shards too."""

    example: ClassVar[str] = "hf://org/repo@main/model.safetensors"

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        from huggingface_hub import constants

        remote = _remote(place)
        try:
            if "network" in context.allow and not constants.HF_HUB_OFFLINE:
                return _fetched(remote, place)
            kept = _kept(remote)
            if kept is None:
                need_network(place, context)
                why = "it is not in the cache, and `HF_HUB_OFFLINE` is set"
                raise fail("download", f"`{place}` cannot be fetched: {why}", place.span)
            return kept
        except SurgeryError:
            raise
        except Exception as error:
            raise _refused(remote, place, error) from error


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file or directory of a repository; the empty path is that of the repository itself."""

    repository: str
    revision: str | None
    path: str


def _remote(place: Place) -> _Remote:
    owner, _, rest = place.path.removeprefix("hf://").partition("/")
    name, _, path = rest.partition("/")
    name, at, revision = name.partition("@")
    if owner in ("datasets", "spaces", "buckets"):
        raise fail("place", f"`{place}` is in no model repository", place.span, (_EXPECTED,))
    if not owner or not name or (at and not revision) or ".." in path.split("/") or "@" in owner:
        raise fail("place", f"`{place}` names no file of a repository", place.span, (_EXPECTED,))
    # as in other tools, the slashes of a revision such as `refs/pr/1` are written `%2F`
    revision = unquote(revision)
    if revision.startswith("/") or ".." in revision or "\\" in revision:
        # the name of no revision, though a path that leads out of the cache
        raise fail("place", f"`{revision}` is no revision", place.span, (_EXPECTED,))
    return _Remote(f"{owner}/{name}", revision or None, path.strip("/"))


# with the network


def _fetched(remote: _Remote, place: Place) -> Path:
    """The file, or the checkpoint of the directory, and the shards of an index."""
    from huggingface_hub import errors

    try:
        found = _download(remote) if remote.path else None
    except errors.EntryNotFoundError as error:
        # a directory is not there as a file; and one kind of this error says that there is no hub
        found = None
        if isinstance(error, errors.LocalEntryNotFoundError) or not _listing(remote):
            raise
    if found is None:
        names = [name for name, is_file in _listing(remote) if is_file]
        chosen = the_checkpoint_among(names, str(place))
        remote = replace(remote, path=f"{remote.path}/{chosen}" if remote.path else chosen)
        found = _download(remote)
    folder = remote.path.rpartition("/")[0]
    for name in shards_of(found, str(place)):
        _download(_Remote(remote.repository, _commit(found, remote), f"{folder}/{name}" if folder else name))
    return found


def _download(remote: _Remote) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(remote.repository, remote.path, revision=remote.revision))


def _commit(found: Path, remote: _Remote) -> str:
    """The commit of a file in the cache, which stands there under ``snapshots/COMMIT/``."""
    return found.parts[-1 - len(remote.path.split("/"))]


def _listing(remote: _Remote) -> list[tuple[str, bool]]:
    """What stands in a directory, by name, and whether it is a file; empty where there is no such directory."""
    from huggingface_hub import HfApi, RepoFile, errors

    try:
        tree = HfApi().list_repo_tree(remote.repository, remote.path or None, revision=remote.revision)
        return [(entry.path.rpartition("/")[2], isinstance(entry, RepoFile)) for entry in tree]
    except errors.EntryNotFoundError:
        return []


# without it


def _kept(remote: _Remote) -> Path | None:
    """What is in the cache. Unlike a download with `local_files_only`, this opens no socket."""
    from huggingface_hub import try_to_load_from_cache

    if remote.path:
        file = try_to_load_from_cache(remote.repository, remote.path, revision=remote.revision)
        if isinstance(file, str):
            return Path(file)
    snapshot = _snapshot(remote)
    return snapshot / remote.path if snapshot is not None and (snapshot / remote.path).is_dir() else None


def _snapshot(remote: _Remote) -> Path | None:
    """The directory of the cache in which the files of the revision are, as far as they were fetched."""
    from huggingface_hub import constants
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    validate_repo_id(remote.repository)
    name = f"models--{remote.repository.replace('/', '--')}"
    kept = Path(constants.HF_HUB_CACHE) / name
    revision = remote.revision or constants.DEFAULT_REVISION
    try:
        commit = (kept / "refs" / revision).read_text(encoding="utf-8").strip()
    except OSError:
        # a commit by its own name
        commit = revision
    found = kept / "snapshots" / commit
    return found if found.is_dir() else None


# what went wrong


def _refused(remote: _Remote, place: Place, error: Exception) -> SurgeryError:
    """What the library's exception means. It has many, and those of two HTTP libraries come through."""
    from huggingface_hub import errors

    reasons: list[tuple[type[Exception], str]] = [
        (errors.GatedRepoError, "the repository is gated: ask for access on its page, and log in with `hf auth login`"),
        (errors.RepositoryNotFoundError, "there is no such repository, or it is private"),
        (errors.RevisionNotFoundError, "the repository has no such revision"),
        (errors.LocalEntryNotFoundError, "it is not in the cache, and the hub cannot be reached"),
        (errors.EntryNotFoundError, "the repository has no such file"),
        (errors.HFValidationError, "that is no name of a repository"),
    ]
    why = next((why for kind, why in reasons if isinstance(error, kind)), None)
    first: Any = _QUERY.sub("", str(error).strip().split("\n")[0]) or type(error).__name__
    notes = _near(remote, error)
    return fail("download", f"`{place}` cannot be fetched: {why or first}", place.span, notes, cause=error)


def _near(remote: _Remote, error: Exception) -> list[str]:
    """Names that the one that is not there may have meant."""
    from huggingface_hub import HfApi, errors

    try:
        if isinstance(error, errors.RevisionNotFoundError):
            refs = HfApi().list_repo_refs(remote.repository)
            wanted, names = remote.revision or "", [ref.name for ref in (*refs.branches, *refs.tags)]
        elif isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            folder, _, wanted = remote.path.rpartition("/")
            names = [name for name, _ in _listing(replace(remote, path=folder))]
        else:
            return []
    except Exception:
        # the error that is reported is the first one; this would only have been a hint
        return []
    near = did_you_mean(wanted, names, most=3)
    return [near or f"there is: {', '.join(f'`{name}`' for name in names[:8])}"] if names else []
