"""``https://…``: a file that a web server has, streamed to a cache and checked.

A download goes to a temporary file and gets its name when it is whole. One that breaks off is continued, at once or by
a later run, as long as the server says that it is still the same file.
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from surgery.diagnostics import SurgeryError, fail
from surgery.files.atomic import FileDraft
from surgery.files.failures import output_errors
from surgery.formats.file import open_file
from surgery.formats.sharded import Sharded
from surgery.places.cache import Version, versions
from surgery.places.place import Place
from surgery.places.scheme import SCHEMES, Scheme, digest_of, need_network
from surgery.planning.context import Context

__all__ = ["HttpsScheme"]

_PIECE = 1 << 20
_TIMEOUT = 60.0
_ATTEMPTS = 5
_LOCAL = ("localhost", "127.0.0.1", "::1")
_BROKEN = (OSError, http.client.HTTPException)


@SCHEMES.register("https")
class HttpsScheme(Scheme):
    """A file of a web server."""

    example: ClassVar[str] = "https://example.org/model.safetensors"

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        _check_address(place.path, place)
        kept = [version for version in versions(place.path) if version.file.is_file()]
        if place.sha256 is not None:
            for version in kept:
                if digest_of(version.file, place.path) == place.sha256:
                    return version.file
        if kept and "network" not in context.allow:
            context.remarks.append(f"{place}: the copy in the cache is used; the network was not asked for a newer one")
            return kept[0].file
        need_network(place, context)
        path = _fetch(place, kept)
        _refuse_index(path, place)
        return path


def _refuse_index(path: Path, place: Place) -> None:
    """An index names files beside it, and on a web server nobody knows that they belong together."""
    with open_file(path, place.path) as file:
        if Sharded.matches(file):
            message = f"`{place}` is the index of a checkpoint in shards, which are not fetched with it"
            notes = ("fetch the directory and name that, or use `hf://` for a repository of the Hugging Face Hub",)
            raise fail("unsupported-checkpoint", message, place.span, notes)


@SCHEMES.register("http")
class HttpScheme(HttpsScheme):
    """The same without encryption, which is for servers on this machine alone."""

    example: ClassVar[str] = "http://localhost:8000/model.safetensors"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections as long as they stay encrypted."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_address(newurl, self._place)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str, place: Place) -> None:
    parts = urlsplit(url)
    if not parts.hostname or any(char <= " " for char in url):
        raise fail("place", f"`{url}` is no address of a file", place.span)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        note = "what is not encrypted can be changed on its way"
        raise fail("place", f"`{url}` is not encrypted: use `https://`", place.span, (note,))


def _fetch(place: Place, kept: list[Version]) -> Path:
    """The file of the current version, from the cache where it is there."""
    handlers: list[Any] = [_Redirects(place)]
    if urlsplit(place.path).hostname in _LOCAL:
        # no proxy reaches a server of this machine
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    last: BaseException | None = None
    for _ in range(_ATTEMPTS):
        version = next((version for version in versions(place.path) if version.part.is_file()), None)
        try:
            with opener.open(_request(place.path, version, kept), timeout=_TIMEOUT) as response:
                found = Version(place.path, _validator(response))
                if found.file.is_file() and found.validator:
                    return found.file
                _save(response, found, place)
                return found.file
        except urllib.error.HTTPError as error:
            if error.code == 304:
                return kept[0].file
            if error.code == 416 and version is not None:
                version.part.unlink()
                continue
            raise _refused(place, error) from error
        except _BROKEN as error:
            last = error
    reason = getattr(last, "reason", None) or last
    raise fail("download", f"`{place}` cannot be fetched: {reason}", place.span, cause=last)


def _request(url: str, part: Version | None, kept: list[Version]) -> urllib.request.Request:
    request = urllib.request.Request(url, headers={"User-Agent": "surgery"})
    if kept and kept[0].validator.startswith('"'):
        request.add_header("If-None-Match", kept[0].validator)
    elif part is not None and part.validator:
        request.add_header("Range", f"bytes={part.part.stat().st_size}-")
        request.add_header("If-Range", part.validator)
    return request


def _validator(response: Any) -> str:
    """A strong ETag, or the time of the last change: what ``If-Range`` takes."""
    tag = response.headers.get("ETag") or ""
    if tag.startswith('"'):
        return str(tag)
    return str(response.headers.get("Last-Modified") or "")


def _save(response: Any, version: Version, place: Place) -> None:
    """Write the body to the cache. What arrived before the connection broke is kept, to go on from."""
    with FileDraft(version.file, overwrite=True, span=place.span) as draft:
        at = _begin(draft.descriptor, response, version)
        length = response.headers.get("Content-Length")
        end = at + int(length) if length is not None else None
        try:
            while piece := response.read(_PIECE):
                at = _write(draft.descriptor, piece, at, version.file)
            if end is not None and at != end:
                raise http.client.IncompleteRead(b"", end - at)
        except _BROKEN:
            if version.validator and at:
                _keep(draft.descriptor, version, place)
            raise
        draft.publish()
    version.part.unlink(missing_ok=True)


def _begin(descriptor: int, response: Any, version: Version) -> int:
    """Copy what was fetched before, if the server goes on from there; how many bytes that are."""
    if response.status != 206:
        return 0
    with open(version.part, "rb") as part:
        at = _copy(part.fileno(), descriptor, version.file)
    if not str(response.headers.get("Content-Range")).startswith(f"bytes {at}-"):
        raise http.client.HTTPException("the server goes on somewhere else")
    return at


def _keep(descriptor: int, version: Version, place: Place) -> None:
    with FileDraft(version.part, overwrite=True, span=place.span) as draft:
        _copy(descriptor, draft.descriptor, version.part)
        draft.publish()


def _copy(source: int, target: int, path: Path) -> int:
    """Copy one open file to another; how many bytes that were."""
    at = 0
    while piece := os.pread(source, _PIECE, at):
        at = _write(target, piece, at, path)
    return at


def _write(descriptor: int, piece: bytes, at: int, path: Path) -> int:
    """Write all of `piece` at `at`; where it ends."""
    with output_errors(path):
        while piece:
            count = os.pwrite(descriptor, piece, at)
            piece, at = piece[count:], at + count
    return at


def _refused(place: Place, error: urllib.error.HTTPError) -> SurgeryError:
    notes = {
        401: ("the server asks who you are",),
        403: ("the server does not let you have it",),
        404: ("there is nothing at that address",),
    }
    message = f"`{place}` cannot be fetched: the server answers {error.code} {error.reason}"
    return fail("download", message, place.span, notes.get(error.code, ()), cause=error)
