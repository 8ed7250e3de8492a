"""``hf://org/repo[@revision]/file``: a file of a model repository, through huggingface_hub.

Its cache, its tokens, its offline switch and its setting of another endpoint are used as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from surgery.diagnostics import SurgeryError, fail
from surgery.formats.file import open_file
from surgery.formats.sharded import Sharded, index_of, shard_names
from surgery.places.place import Place
from surgery.places.scheme import SCHEMES, Scheme, need_network
from surgery.planning.context import Context

__all__ = ["HfScheme"]

_EXPECTED = "`hf://org/repo/file` or `hf://org/repo@revision/file`"


@SCHEMES.register("hf")
class HfScheme(Scheme):
    """A file of a repository on the Hugging Face Hub; of an index, its shards too."""

    example: ClassVar[str] = "hf://org/repo@main/model.safetensors"

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        repository, revision, file = _parts(place)
        found = _get(place, repository, revision, file, context)
        with open_file(found, str(place)) as opened:
            shards = shard_names(opened, index_of(opened)) if Sharded.matches(opened) else {}
        folder = file.rpartition("/")[0]
        for name in shards:
            _get(place, repository, revision, f"{folder}/{name}" if folder else name, context)
        return found


def _parts(place: Place) -> tuple[str, str | None, str]:
    """Repository, revision and file."""
    owner, _, rest = place.path.removeprefix("hf://").partition("/")
    name, _, file = rest.partition("/")
    name, at, revision = name.partition("@")
    if not owner or not name or not file or (at and not revision) or ".." in file.split("/"):
        raise fail("place", f"`{place}` names no file of a repository", place.span, (_EXPECTED,))
    return f"{owner}/{name}", revision or None, file


def _get(place: Place, repository: str, revision: str | None, file: str, context: Context) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    try:
        if "network" not in context.allow:
            # unlike a download with `local_files_only`, this opens no socket
            kept = try_to_load_from_cache(repository, file, revision=revision)
            if isinstance(kept, str):
                return Path(kept)
            need_network(place, context)
        return Path(hf_hub_download(repository, file, revision=revision))
    except SurgeryError:
        raise
    except Exception as error:
        raise _refused(place, error) from error


def _refused(place: Place, error: Exception) -> SurgeryError:
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
    first: Any = str(error).strip().split("\n")[0]
    return fail("download", f"`{place}` cannot be fetched: {why or first}", place.span, cause=error)
