"""The Hugging Face Hub, by the library's own client against a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest
import safetensors.torch
import torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"

ASK = """
import json, sys
from surgery.diagnostics import SurgeryError
from surgery.places import Place
from surgery.planning.context import Context
from surgery.sources import SOURCES
answers = []
for address, allow in json.loads(sys.argv[1]):
    try:
        subject = SOURCES["checkpoint"](Place(address)).open(Context(allow=frozenset(allow)))
        answers.append(sorted(subject.entries))
    except SurgeryError as error:
        answers.append([error.diagnostics[0].code, error.diagnostics[0].message])
print(json.dumps([answers, "torch" in sys.modules]))
"""


class _Hub(http.server.BaseHTTPRequestHandler):
    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body):
        self.asked.append(self.path)
        parts = self.path.lstrip("/").split("/")
        repository, revision, name = "/".join(parts[:2]), parts[3] if len(parts) > 3 else "", "/".join(parts[4:])
        error = None
        if repository != "org/repo":
            error = "RepoNotFound"
        elif revision not in ("main", "v1", COMMIT):
            error = "RevisionNotFound"
        elif name not in self.files:
            error = "EntryNotFound"
        content = self.files.get(name, b"")
        self.send_response(404 if error else 200)
        if error:
            self.send_header("X-Error-Code", error)
            content = b""
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path):
    """Asks for addresses in a process of its own, since the library reads its settings when it is imported."""
    for name, tensors in {"one": {"a": torch.ones(2)}, "two": {"b": torch.ones(2)}}.items():
        safetensors.torch.save_file(tensors, tmp_path / name)
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    files = {
        "one.safetensors": (tmp_path / "one").read_bytes(),
        "two.safetensors": (tmp_path / "two").read_bytes(),
        "model.safetensors.index.json": json.dumps(index).encode(),
        "page.safetensors": b"<!doctype html><p>no",
    }
    handler = type("Hub", (_Hub,), {"files": files, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"

    def ask(*places):
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        environment.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run(
            [sys.executable, "-c", ASK, json.dumps(places)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        answers, imported_torch = json.loads(done.stdout)
        assert not imported_torch
        return answers

    ask.asked = handler.asked
    yield ask
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_shards_and_revisions(hub):
    network = ["network"]
    answers = hub(
        ("hf://org/repo/one.safetensors", []),
        ("hf://org/repo/one.safetensors", network),
        ("hf://org/repo/one.safetensors", []),
        ("hf://org/repo@v1/two.safetensors", network),
        ("hf://org/repo/model.safetensors.index.json", network),
    )
    assert answers[0][0] == "not-allowed"
    assert answers[1:] == [["a"], ["a"], ["b"], ["a", "b"]]


def test_what_is_not_there(hub):
    network = ["network"]
    answers = hub(
        ("hf://org/nothing/one.safetensors", network),
        ("hf://org/repo@v9/one.safetensors", network),
        ("hf://org/repo/three.safetensors", network),
        ("hf://org/repo/page.safetensors", network),
        ("hf://org/repo", network),
        ("hf://repo/../../x", network),
    )
    assert [code for code, _ in answers] == [
        "download",
        "download",
        "download",
        "not-a-checkpoint",
        "place",
        "place",
    ]
    assert "no such repository" in answers[0][1]
    assert "no such revision" in answers[1][1]
    assert "no such file" in answers[2][1]
    assert "a web page" in answers[3][1]


def test_without_permission_no_socket_is_opened(hub):
    hub(("hf://org/repo/one.safetensors", []))
    assert hub.asked == []
