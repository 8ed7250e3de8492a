"""A web server on this machine that can answer with ranges, break off, and count what it is asked."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Site:
    """What the server has, and how it behaves."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"v1"'
    #: after how many bytes of a body it breaks off, once for each number
    breaks: list[int] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    status: int | None = None


class _Handler(http.server.BaseHTTPRequestHandler):
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
        if site.status or body is None:
            self.send_error(site.status or 404)
            return
        if site.etag and self.headers.get("If-None-Match") == site.etag:
            self.send_response(304)
            self.end_headers()
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == site.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if site.etag:
            self.send_header("ETag", site.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        part = body[start:]
        if site.breaks:
            part = part[: site.breaks.pop(0)]
        self.wfile.write(part)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[Site]:
    """The server, and a cache that is empty."""
    monkeypatch.setenv("SURGERY_CACHE", str(tmp_path / "cache"))
    handler = type("Handler", (_Handler,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.site = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield handler.site
    server.shutdown()
    server.server_close()
    thread.join()
