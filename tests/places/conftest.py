"""A web server on this machine that can answer with ranges, break off, and count what it is asked."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Site:
    """What the server has, and how it behaves."""

    address: str
    cache: Path
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"v1"'
    #: after how many bytes of a body it breaks off, once for each number
    breaks: list[int] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    #: what it answers instead of what is asked for, once for each: a status, and seconds to wait before
    busy: list[tuple[int, float]] = field(default_factory=list)
    #: how it answers: with ranges, without, with one that was not asked for, with a new version in spite of If-Range
    ranges: str = "right"
    #: how a body is sent: with its length, in chunks, or up to the end of the connection
    body: str = "length"
    #: what is added to the length that is said
    lies: int = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.requests.append((self.command, self.path, dict(self.headers)))
        if self.path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[self.path])
            self.end_headers()
            return
        body = site.files.get(self.path)
        if site.busy:
            status, seconds = site.busy.pop(0)
            time.sleep(seconds)
            self.send_error(status)
            return
        if site.status or body is None:
            self.send_error(site.status or 404)
            return
        if site.etag and self.headers.get("If-None-Match") == site.etag:
            self.send_response(304)
            self.end_headers()
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and site.ranges != "none" and (self.headers.get("If-Range") == site.etag or site.ranges == "changed"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_error(416)
                return
            start += site.ranges == "shifted"
        self.send_response(206 if start else 200)
        if site.etag:
            self.send_header("ETag", site.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        part = body[start:]
        whole = len(part)
        if site.breaks:
            part = part[: site.breaks.pop(0)]
        if site.body == "length":
            self.send_header("Content-Length", str(len(body) - start + site.lies))
        elif site.body == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
            end = b"0\r\n\r\n" if len(part) == whole else b""
            part = b"%x\r\n%b\r\n" % (len(part), part) + end
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[Site]:
    """The server, and a cache that is empty."""
    monkeypatch.setenv("SURGERY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("surgery.places.download._PAUSE", 0.001)
    handler = type("Handler", (_Handler,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.site = Site(f"http://127.0.0.1:{server.server_address[1]}", tmp_path / "cache")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield handler.site
    server.shutdown()
    server.server_close()
    thread.join()
