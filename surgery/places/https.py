"""``https://…``: a file that a web server has, fetched to a cache; of an index of shards, the shards beside it too."""

from __future__ import annotations

import dataclasses
import urllib.request
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit

from surgery.diagnostics import fail
from surgery.files.links import link
from surgery.formats.sharded import shards_of
from surgery.places.cache import versions
from surgery.places.download import Download
from surgery.places.place import Place
from surgery.places.scheme import SCHEMES, Scheme, digest_of, need_network
from surgery.planning.context import Context

__all__ = ["HttpsScheme"]

_LOCAL = ("localhost", "127.0.0.1", "::1")


@SCHEMES.register("https")
class HttpsScheme(Scheme):
    """A file of a web server; of an index, its shards too, whose names are relative to the index's address."""

    example: ClassVar[str] = "https://example.org/model.safetensors"

    @classmethod
    def locate(cls, place: Place, context: Context) -> Path:
        path = _file(place, context)
        for name in shards_of(path, place.path):
            shard = dataclasses.replace(place, path=urljoin(place.path, quote(name)), sha256=None)
            link(_file(shard, context), path.parent / name, span=place.span)
        return path


@SCHEMES.register("http")
class HttpScheme(HttpsScheme):
    """The same without encryption, which is for servers on this machine alone."""

    example: ClassVar[str] = "http://localhost:8000/model.safetensors"


def _file(place: Place, context: Context) -> Path:
    """One file, from the cache where that is enough."""
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
    handlers: list[Any] = [_Redirects(place)]
    if urlsplit(place.path).hostname in _LOCAL:
        # no proxy reaches a server of this machine
        handlers.append(urllib.request.ProxyHandler({}))
    return Download(place, urllib.request.build_opener(*handlers)).file()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections as long as they stay encrypted."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_address(newurl, self._place)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str, place: Place) -> None:
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        host = b""
    if not host or any(char <= " " for char in url):
        raise fail("place", f"`{url}` is no address of a file", place.span)
    if parts.username is not None or parts.password is not None:
        note = "it would stand in recipes, in messages and in the record of what made a result"
        raise fail("place", "a name or a password in an address is not sent", place.span, (note,))
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        note = "what is not encrypted can be changed on its way"
        raise fail("place", f"`{_plain(url)}` is not encrypted: use `https://`", place.span, (note,))


def _plain(url: str) -> str:
    """An address without its query, which can be a key."""
    return url.split("?", 1)[0]
