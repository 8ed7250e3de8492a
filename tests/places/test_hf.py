"""The Hugging Face Hub, by the library's own client against a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from urllib.parse import quote

import pytest
import safetensors.torch
import torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"

ASK = """
import json, os, sys, time
if "IMPATIENT" in os.environ:
    time.sleep = lambda seconds: None
from surgery.diagnostics import SurgeryError
from surgery.places import Place
from surgery.planning.context import Context
from surgery.references.parse import parse_reference
from surgery.sources import SOURCES
answers = []
for address, allow in json.loads(sys.argv[1]):
    try:
        if address.startswith("hf:") and not address.startswith("hf://"):
            reference = parse_reference(address)
            needed = reference.permission()
            if needed and needed not in allow:
                answers.append([needed])
                continue
            found = reference.find(None)
            text, name = found.content.decode(), str(found.reference)
            answers.append([text, name, found.commit, found.is_moving, found.is_foreign])
            continue
        subject = SOURCES["checkpoint"](Place(address)).open(Context(allow=frozenset(allow)))
        answers.append(sorted(subject.entries))
    except SurgeryError as error:
        answers.append([error.diagnostics[0].code, error.diagnostics[0].message, *error.diagnostics[0].notes])
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
        if self.path.startswith("/api/models/org/repo/"):
            self._answer_about(self.path.removeprefix("/api/models/org/repo/").split("?")[0])
            return
        parts = self.path.lstrip("/").split("/")
        repository, revision, name = "/".join(parts[:2]), parts[3] if len(parts) > 3 else "", "/".join(parts[4:])
        error = None
        if repository == "org/gated":
            error = "GatedRepo"
        elif repository != "org/repo":
            error = "RepoNotFound"
        elif revision not in ("main", "v1", COMMIT):
            error = "RevisionNotFound"
        elif name not in self.files:
            error = "EntryNotFound"
        content = self.files.get(name, b"")
        self.send_response({None: 200, "GatedRepo": 403}.get(error, 404))
        if error:
            self.send_header("X-Error-Code", error)
            content = b""
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _answer_about(self, what):
        kind, _, rest = what.partition("/")
        if kind == "refs":
            ref = {"targetCommit": COMMIT}
            branches = [{"name": "main", "ref": "refs/heads/main", **ref}]
            answer = {"branches": branches, "converts": [], "tags": [{"name": "v1", "ref": "refs/tags/v1", **ref}]}
        else:
            folder = rest.partition("/")[2]
            prefix = f"{folder}/" if folder else ""
            below = {name.removeprefix(prefix) for name in self.files if name.startswith(prefix)}
            folders = {name.partition("/")[0] for name in below if "/" in name}
            entry = {"oid": COMMIT, "size": 1}
            answer = [{"type": "file", "path": prefix + name, **entry} for name in sorted(below) if "/" not in name]
            answer += [{"type": "directory", "path": prefix + name, **entry} for name in sorted(folders)]
        content = json.dumps(answer or {"error": "not there"}).encode()
        self.send_response(200 if answer else 404)
        if not answer:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path):
    """Asks for addresses in a process of its own, since the library reads its settings when it is imported."""
    for name, tensors in {"one": {"a": torch.ones(2)}, "two": {"b": torch.ones(2)}}.items():
        safetensors.torch.save_file(tensors, tmp_path / name)
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    standard = {"weight_map": {key: f"model-0000{n}-of-00002.safetensors" for n, key in enumerate("ab", 1)}}
    files = {
        "one.safetensors": (tmp_path / "one").read_bytes(),
        "two.safetensors": (tmp_path / "two").read_bytes(),
        "model.safetensors.index.json": json.dumps(index).encode(),
        "page.safetensors": b"<!doctype html><p>no",
        "unet/model.safetensors": (tmp_path / "one").read_bytes(),
        "unet/config.json": b"{}",
        "recipes/clean.yaml": b"steps: []",
        "text/model.safetensors.index.json": json.dumps(standard).encode(),
        "text/model-00001-of-00002.safetensors": (tmp_path / "one").read_bytes(),
        "text/model-00002-of-00002.safetensors": (tmp_path / "two").read_bytes(),
    }
    handler = type("Hub", (_Hub,), {"files": files, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"

    def ask(*places, **settings):
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        environment.pop("HF_HUB_OFFLINE", None)
        environment.update(settings)
        done = subprocess.run(
            [sys.executable, "-c", ASK, json.dumps(places)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "hf_secret" not in done.stdout + done.stderr
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
        ("hf://org", network),
        ("hf://repo/../../x", network),
        ("hf://datasets/org/repo/x", network),
        ("hf://org/gated/one.safetensors", network),
        ("hf://org/repo@/one.safetensors", network),
        ("hf://-org-/repo/one.safetensors", network),
        ("hf://-org-/repo/one.safetensors", []),
        HF_TOKEN="hf_secret",
    )
    assert [code for code, *_ in answers] == [
        "download",
        "download",
        "download",
        "not-a-checkpoint",
        "place",
        "place",
        "place",
        "download",
        "place",
        "download",
        "download",
    ]
    assert "no such repository" in answers[0][1]
    assert "no such revision" in answers[1][1]
    assert "no such file" in answers[2][1]
    assert "a web page" in answers[3][1]
    assert answers[1][2] == "there is: `main`, `v1`"
    assert answers[2][2] == "did you mean `one.safetensors`?" or "one.safetensors" in answers[2][2]
    assert "in no model repository" in answers[6][1]
    assert "is gated" in answers[7][1]


def test_without_permission_no_socket_is_opened(hub):
    hub(("hf://org/repo/one.safetensors", []))
    assert hub.asked == []


def test_directories(hub):
    network = ["network"]
    answers = hub(
        ("hf://org/repo/unet", []),
        ("hf://org/repo/unet", network),
        ("hf://org/repo@v1/unet/", network),
        ("hf://org/repo/text", network),
        ("hf://org/repo", network),
        ("hf://org/repo/unet", []),
        ("hf://org/repo/text", []),
        ("hf://org/repo/nothing", network),
    )
    assert answers[0][0] == "not-allowed"
    assert answers[1:4] == [["a"], ["a"], ["a", "b"]]
    assert answers[4][0] == "several-checkpoints"
    assert answers[5:7] == [["a"], ["a", "b"]]
    assert answers[7][0] == "download"


def test_shards_are_of_the_commit_of_their_index(hub):
    hub(("hf://org/repo/text/model.safetensors.index.json", ["network"]))
    assert any(f"/resolve/{COMMIT}/text/model-00002-of-00002.safetensors" in path for path in hub.asked)
    assert not any("/resolve/main/text/model-00002-of-00002.safetensors" in path for path in hub.asked)


def test_offline(hub):
    network = ["network"]
    hub(("hf://org/repo/one.safetensors", network), ("hf://org/repo/unet", network))
    hub.asked.clear()
    answers = hub(
        ("hf://org/repo/one.safetensors", network),
        ("hf://org/repo/unet", network),
        ("hf://org/repo/two.safetensors", network),
        HF_HUB_OFFLINE="1",
    )
    assert answers[:2] == [["a"], ["a"]]
    assert "`HF_HUB_OFFLINE` is set" in answers[2][1]
    assert hub.asked == []


def test_a_revision_leads_out_of_no_cache(hub, tmp_path):
    """A revision is a name, and becomes part of a path in the cache: of no directory of this machine."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "one").rename(tmp_path / "mine/model.safetensors")
    hub(("hf://org/repo/unet", ["network"]))
    answers = hub(
        (f"hf://org/repo@{quote(str(tmp_path), safe='')}/mine", []),
        (f"hf://org/repo@{quote('../' * 5, safe='')}mine/", []),
        ("hf://org/repo@..%2Frefs/mine", ["network"]),
        (f"hf:org/repo/mine/clean.yaml@{tmp_path}", ["network"]),
    )
    assert [code for code, *_ in answers] == ["place"] * 4


def test_a_hub_that_is_not_there(hub):
    (answer,) = hub(("hf://org/repo/one.safetensors", ["network"]), HF_ENDPOINT="http://127.0.0.1:9", IMPATIENT="1")
    assert answer[0] == "download"
    assert "cannot be reached" in answer[1]


def test_recipes(hub):
    """Recipes lie beside the weights that they are for; those of a commit that is here need no network."""
    reference = "hf:org/repo/recipes/clean.yaml"
    pinned = f"{reference}@{COMMIT}"
    network = ["network"]
    answers = hub((pinned, []), (f"{reference}@v1", network), (reference, network), (pinned, []), (reference, []))
    found = ["steps: []", pinned, COMMIT]
    assert answers == [
        ["network"],
        [*found, True, True],
        [*found, True, True],
        [*found, False, True],
        ["network"],
    ]
    (answer,) = hub(("hf:org/repo/recipes/claen.yaml", network))
    assert answer[0] == "download"
    assert "did you mean `clean.yaml`?" in answer
