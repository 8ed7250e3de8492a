"""A file of a web server, streamed to the cache.

A download goes to a temporary file and gets its name when it is whole. One that breaks off, or is interrupted, is
continued, at once or by a later run, as long as the server says that it is still the same file.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from surgery.diagnostics import SurgeryError, fail
from surgery.files.atomic import FileDraft
from surgery.files.failures import output_errors
from surgery.files.writer import write_all
from surgery.limits import exceeded, limits
from surgery.places.cache import Version, versions
from surgery.places.place import Place

__all__ = ["Download"]

_PIECE = 1 << 20
#: seconds without a byte
_TIMEOUT = 30.0
#: how often in a row an address is asked without getting a piece further, and seconds before the second time, which
#: double with each further one
_ATTEMPTS, _PAUSE = 5, 0.25
_BROKEN = (OSError, http.client.HTTPException)
#: answers of servers that may answer otherwise in a moment
_BUSY = (408, 429, 500, 502, 503, 504)
#: what stands in addresses as it is
_KEPT = "%/:=&?~#+!$,;'@()*[]"
_REASONS = {
    401: "the server asks who you are",
    403: "the server does not let you have it",
    404: "there is nothing at that address",
    407: "the proxy asks who you are",
    410: "what was at that address is gone",
}


class Download:
    """Fetches one address.

    Args:
        place: the address, for messages and their places.
        opener: what opens it.
    """

    def __init__(self, place: Place, opener: urllib.request.OpenerDirector) -> None:
        self._place = place
        self._opener = opener

    def file(self) -> Path:
        """The file of the current version: from the cache where it is there whole, else from the server.

        Raises:
            SurgeryError: code ``download``; ``no-space`` and ``output`` where the cache cannot be written.
        """
        failures, reached = 0, 0
        while True:
            try:
                return self._attempt()
            except _BROKEN as error:
                self._give_up_if_hopeless(error)
                part = self._part()
                here = part.part.stat().st_size if part is not None else 0
                failures = 1 if here >= reached + _PIECE else failures + 1
                reached = here
                if failures == _ATTEMPTS:
                    raise self._refused(error) from error
                time.sleep(_PAUSE * 2 ** (failures - 1))

    def _attempt(self) -> Path:
        kept = next((version for version in versions(self._place.path) if version.file.is_file()), None)
        part = self._part()
        try:
            with self._opener.open(self._request(kept, part), timeout=_TIMEOUT) as response:
                found = Version(self._place.path, _validator(response))
                if found.file.is_file() and found.validator:
                    return found.file
                if response.status == 206 and not _goes_on(response, found, part):
                    assert part is not None, "a range was asked for"
                    part.part.unlink(missing_ok=True)
                    raise http.client.HTTPException("the server goes on with something else")
                self._save(response, found)
                return found.file
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 304 and kept is not None:
                return kept.file
            if error.code == 416 and part is not None:
                part.part.unlink(missing_ok=True)
            raise

    def _part(self) -> Version | None:
        """The version of which the beginning is there."""
        return next((version for version in versions(self._place.path) if version.part.is_file()), None)

    def _request(self, kept: Version | None, part: Version | None) -> urllib.request.Request:
        request = urllib.request.Request(quote(self._place.path, safe=_KEPT), headers={"User-Agent": "surgery"})
        if kept is not None and kept.validator.startswith('"'):
            request.add_header("If-None-Match", kept.validator)
        elif part is not None and part.validator:
            request.add_header("Range", f"bytes={part.part.stat().st_size}-")
            request.add_header("If-Range", part.validator)
        return request

    def _save(self, response: Any, version: Version) -> None:
        """Write the body to the cache. What arrived before the connection broke is kept, to go on from."""
        with FileDraft(version.file, overwrite=True, span=self._place.span) as draft:
            at = _copy(version.part, draft.descriptor) if response.status == 206 else 0
            end = at + response.length if response.length is not None else None
            self._refuse_beyond_limit(end or 0)
            try:
                # unlike `read`, this gives what arrived before a body in chunks breaks off
                while piece := response.read1(_PIECE):
                    at = _write(draft.descriptor, piece, at, version.file)
                    self._refuse_beyond_limit(at)
                if end is not None and at != end:
                    raise http.client.IncompleteRead(b"", end - at)
            except (*_BROKEN, KeyboardInterrupt):
                if version.validator and at:
                    draft.divert(version.part)
                    draft.publish()
                raise
            draft.publish()
        version.part.unlink(missing_ok=True)

    def _refuse_beyond_limit(self, size: int) -> None:
        """Refuse a file that is, or says that it is, larger than the limit; some servers never stop."""
        if size > limits().download:
            raise exceeded("download", f"`{self._place}` is larger than the limit", self._place.span, needed=size)

    def _give_up_if_hopeless(self, error: Exception) -> None:
        """Raise at once what would be the same the next time."""
        if isinstance(error, urllib.error.HTTPError):
            hopeless = error.code not in (*_BUSY, 416)
        else:
            hopeless = isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)
        if hopeless:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> SurgeryError:
        place = self._place
        if isinstance(error, urllib.error.HTTPError):
            message = f"`{place}` cannot be fetched: the server answers {error.code} {error.reason}"
            notes = [_REASONS[error.code]] if error.code in _REASONS else []
        else:
            message = f"`{place}` cannot be fetched: {getattr(error, 'reason', None) or error or type(error).__name__}"
            notes = []
        if any(version.file.is_file() for version in versions(place.path)):
            notes.append("a copy is in the cache: without `--allow network` it is used as it is")
        return fail("download", message, place.span, notes, cause=error)


def _validator(response: Any) -> str:
    """A strong ETag, or the time of the last change: what ``If-Range`` takes."""
    tag = response.headers.get("ETag") or ""
    if tag.startswith('"'):
        return str(tag)
    return str(response.headers.get("Last-Modified") or "")


def _goes_on(response: Any, found: Version, part: Version | None) -> bool:
    """Whether an answer is the continuation of what is there."""
    if part is None or part.validator != found.validator or not part.part.is_file():
        return False
    return str(response.headers.get("Content-Range")).startswith(f"bytes {part.part.stat().st_size}-")


def _copy(source: Path, target: int) -> int:
    """Copy what is there to an open file; how many bytes that were."""
    with open(source, "rb") as part:
        at = 0
        while piece := part.read(_PIECE):
            at = _write(target, piece, at, source)
    return at


def _write(descriptor: int, piece: bytes, at: int, path: Path) -> int:
    """Write all of `piece` at `at`; where it ends."""
    with output_errors(path):
        write_all(descriptor, memoryview(piece), at)
    return at + len(piece)
