"""Downloads: permission, cache, resumption, digests, and servers that misbehave."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from surgery.diagnostics import SurgeryError
from surgery.limits import limited
from surgery.places import Place, locate
from surgery.planning.context import Context

BODY = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def online():
    return Context(allow=frozenset({"network"}))


@pytest.fixture
def url(site):
    site.files["/model.safetensors"] = BODY
    return f"{site.address}/model.safetensors"


def code(error):
    return error.value.diagnostics[0].code


def cached(site):
    """The files in the cache."""
    return [path for path in site.cache.rglob("*") if path.is_file()]


def test_the_network_needs_permission(url, site):
    with pytest.raises(SurgeryError, match="needs the network") as error:
        locate(Place(url), Context())
    assert code(error) == "not-allowed"
    assert site.requests == []


def test_a_download_is_kept_and_asked_for_again(url, site, online):
    path = locate(Place(url), online)
    assert path.read_bytes() == BODY
    assert path.name == "model.safetensors"
    assert locate(Place(url), online) == path
    assert [request[2].get("If-None-Match") for request in site.requests] == [None, '"v1"']


def test_a_new_version_is_fetched(url, site, online):
    old = locate(Place(url), online)
    site.files["/model.safetensors"], site.etag = b"new", '"v2"'
    new = locate(Place(url), online)
    assert new.read_bytes() == b"new"
    assert old.read_bytes() == BODY


def test_the_cache_is_used_without_permission_and_said(url, site, online):
    path = locate(Place(url), online)
    offline = Context()
    assert locate(Place(url), offline) == path
    assert len(site.requests) == 1
    assert "the copy in the cache is used" in offline.remarks[0]


def test_with_a_digest_the_server_is_asked_once(url, site, online):
    place = Place(url, sha256=DIGEST)
    path = locate(place, online)
    assert locate(place, online) == path
    assert len(site.requests) == 1


def test_a_wrong_digest(url, online):
    with pytest.raises(SurgeryError, match=f"found    {DIGEST}") as error:
        locate(Place(url, sha256="0" * 64), online)
    assert code(error) == "wrong-digest"


def test_a_broken_download_goes_on_where_it_stopped(url, site, online):
    site.breaks = [300_000, 400_000]
    assert locate(Place(url), online).read_bytes() == BODY
    assert [request[2].get("Range") for request in site.requests] == [None, "bytes=300000-", "bytes=700000-"]


def test_a_later_run_goes_on_too(url, site, online):
    site.breaks = [1000, 1, 1, 1, 1]
    with pytest.raises(SurgeryError) as error:
        locate(Place(url), online)
    assert code(error) == "download"
    site.requests.clear()
    path = locate(Place(url), online)
    assert path.read_bytes() == BODY
    assert site.requests[0][2]["Range"] == "bytes=1004-"
    assert os.listdir(path.parent) == [path.name], "no litter"


def test_a_file_that_changed_meanwhile_is_fetched_anew(url, site, online):
    site.breaks = [1000, 0, 0, 0, 0]
    with pytest.raises(SurgeryError):
        locate(Place(url), online)
    site.files["/model.safetensors"], site.etag = BODY[::-1], '"v2"'
    assert locate(Place(url), online).read_bytes() == BODY[::-1]


def test_a_server_without_validators(url, site, online):
    site.etag = None
    site.breaks = [1000]
    assert locate(Place(url), online).read_bytes() == BODY
    assert [request[2].get("Range") for request in site.requests] == [None, None]


@pytest.mark.parametrize(
    ("status", "words", "times"),
    [
        (404, "nothing at that address", 1),
        (403, "does not let", 1),
        (401, "asks who you are", 1),
        (500, "answers 500", 5),
        (503, "answers 503", 5),
        (429, "answers 429", 5),
    ],
)
def test_answers_that_are_no_file(status, words, times, url, site, online):
    site.status = status
    with pytest.raises(SurgeryError, match=words) as error:
        locate(Place(url), online)
    assert code(error) == "download"
    assert len(site.requests) == times


def test_nobody_is_there(site, online):
    with pytest.raises(SurgeryError, match="cannot be fetched") as error:
        locate(Place("http://127.0.0.1:9/x"), online)
    assert code(error) == "download"


@pytest.mark.parametrize("target", ["http://example.org/x", "ftp://example.org/x", "file:///etc/passwd"])
def test_redirections_stay_encrypted(target, url, site, online):
    site.redirects["/model.safetensors"] = target
    with pytest.raises(SurgeryError) as error:
        locate(Place(url), online)
    assert code(error) in ("place", "download")


def test_a_redirection_on_this_machine(url, site, online):
    site.files["/there"] = b"there"
    site.redirects["/model.safetensors"] = f"{site.address}/there"
    assert locate(Place(url), online).read_bytes() == b"there"


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/x",
        "https://",
        "https:// x/y",
        "https://[::1/x",
        "https://h:99999/x",
        f"https://{'a' * 64}.b/x",
    ],
)
def test_addresses_that_are_refused(address, online):
    with pytest.raises(SurgeryError) as error:
        locate(Place(address), online)
    assert code(error) == "place"


def test_names_in_the_cache_cannot_surprise(site, online):
    site.files["/%2e%2e%2f%2e%2e%2fetc%2fpasswd"] = b"x"
    path = locate(Place(f"{site.address}/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), online)
    assert path.name == "passwd"
    assert "downloads" in path.parts


def test_a_server_that_is_busy_for_a_moment(url, site, online):
    site.busy = [(503, 0), (429, 0), (500, 0), (502, 0)]
    assert locate(Place(url), online).read_bytes() == BODY


def test_as_long_as_it_gets_on_it_goes_on(url, site, online):
    site.files["/model.safetensors"] = body = bytes(20 << 20)
    site.breaks = [2 << 20] * 9
    assert locate(Place(url), online).read_bytes() == body
    assert len(site.requests) == 10


def test_a_server_that_says_nothing(url, site, online, monkeypatch):
    monkeypatch.setattr("surgery.places.download._TIMEOUT", 0.05)
    site.busy = [(200, 0.2)]
    assert locate(Place(url), online).read_bytes() == BODY
    site.etag, site.busy = '"v2"', [(200, 0.2)] * 5
    with pytest.raises(SurgeryError, match="timed out") as error:
        locate(Place(url), online)
    assert "a copy is in the cache" in error.value.diagnostics[0].notes[0]


@pytest.mark.parametrize("body", ["length", "chunks", "connection"])
def test_ways_to_send_a_body(body, url, site, online):
    site.body = body
    assert locate(Place(url), online).read_bytes() == BODY


@pytest.mark.parametrize("body", ["length", "chunks"])
def test_a_body_that_breaks_off(body, url, site, online):
    site.body, site.breaks = body, [5000, 6000]
    assert locate(Place(url), online).read_bytes() == BODY
    assert [request[2].get("Range") for request in site.requests] == [None, "bytes=5000-", "bytes=11000-"]


def test_a_body_that_is_longer_than_it_says_is_as_long_as_it_says(url, site, online):
    site.lies = -1000
    assert locate(Place(url), online).read_bytes() == BODY[:-1000]


def test_a_body_that_is_never_as_long_as_it_says(url, site, online):
    site.lies = 1000
    with pytest.raises(SurgeryError) as error:
        locate(Place(url), online)
    assert code(error) == "download"
    assert not [path for path in cached(site) if path.suffix == ".safetensors"]


@pytest.mark.parametrize("ranges", ["none", "shifted", "changed"])
def test_servers_that_do_not_go_on_rightly(ranges, url, site, online):
    site.breaks, site.ranges = [5000], ranges
    if ranges == "changed":
        site.breaks = [5000, 0, 0, 0, 0]
        with pytest.raises(SurgeryError):
            locate(Place(url), online)
        site.files["/model.safetensors"], site.etag = BODY[::-1], '"v2"'
    path = locate(Place(url), online)
    assert path.read_bytes() == site.files["/model.safetensors"]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_beginning_that_is_longer_than_the_file(url, site, online):
    site.breaks = [5000, 0, 0, 0, 0]
    with pytest.raises(SurgeryError):
        locate(Place(url), online)
    site.files["/model.safetensors"] = BODY[:1000]
    assert locate(Place(url), online).read_bytes() == BODY[:1000]


def test_an_interruption_keeps_what_is_there(url, site, online, monkeypatch):
    monkeypatch.setattr("surgery.places.download._PIECE", 10_000)
    write, count = os.pwrite, 0

    def interrupted(*args):
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return write(*args)

    monkeypatch.setattr("os.pwrite", interrupted)
    with pytest.raises(KeyboardInterrupt):
        locate(Place(url), online)
    assert locate(Place(url), online).read_bytes() == BODY
    assert site.requests[1][2]["Range"] != "bytes=0-"


def test_a_full_disk(url, site, online, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(SurgeryError) as error:
        locate(Place(url), online)
    assert code(error) == "no-space"
    assert len(site.requests) == 1
    assert cached(site) == []


@pytest.mark.parametrize("body", ["length", "chunks"])
def test_a_file_beyond_the_limit(body, url, site, online):
    """One that says how long it is is refused at once, one that does not where it goes beyond."""
    site.body = body
    with limited({"download": 100_000}), pytest.raises(SurgeryError, match="`--limit download=") as error:
        locate(Place(url), online)
    assert code(error) == "too-large"
    assert len(site.requests) == 1
    assert cached(site) == []
    with limited({"download": len(BODY)}):
        assert locate(Place(url), online).read_bytes() == BODY


def test_a_cache_that_cannot_be(url, site, online, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SURGERY_CACHE", str(tmp_path / "file"))
    with pytest.raises(SurgeryError) as error:
        locate(Place(url), online)
    assert code(error) == "output"


def test_a_password_is_neither_sent_nor_told(site, online):
    with pytest.raises(SurgeryError) as error:
        locate(Place("https://me:secret@example.org/x"), online)
    assert code(error) == "place"
    assert "secret" not in str(error.value)


def test_a_query_is_not_told_where_a_redirection_is_refused(url, site, online):
    site.redirects["/model.safetensors"] = "http://example.org/x?Signature=secret"
    with pytest.raises(SurgeryError) as error:
        locate(Place(url), online)
    assert "secret" not in str(error.value)


def test_letters_that_an_address_cannot_have_are_encoded(site, online):
    site.files["/m%C3%BC%20%41"] = b"there"
    assert locate(Place(f"{site.address}/mü%20%41"), online).read_bytes() == b"there"


def test_a_proxy_is_used_but_for_this_machine(url, site, online, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", site.address)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert locate(Place(url), online).read_bytes() == BODY
    with pytest.raises(SurgeryError, match="Tunnel connection failed: 501"):
        locate(Place("https://example.org/x"), online)


_FETCH = """
import sys
from surgery.places import Place, locate
from surgery.planning.context import Context
print(locate(Place(sys.argv[1]), Context(allow=frozenset({"network"}))))
"""


def test_two_at_once_both_have_it(url, site):
    site.files["/model.safetensors"] = body = BODY * 20
    site.breaks = [1 << 20, 2 << 20, 3 << 20]
    runs = [subprocess.Popen([sys.executable, "-c", _FETCH, url], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {run.communicate(timeout=60)[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(paths) == 1
    assert Path(paths.pop()).read_bytes() == body


# indexes


@pytest.fixture
def index(site):
    """A checkpoint in two shards, one of them in a directory below."""
    site.files["/m/one%20a.safetensors"] = shard(a=1.0)
    site.files["/m/sub/two.safetensors"] = shard(b=2.0)
    names = {"a": "one a.safetensors", "b": "sub/two.safetensors"}
    site.files["/m/model.safetensors.index.json"] = json.dumps({"weight_map": names}).encode()
    return f"{site.address}/m/model.safetensors.index.json"


def shard(**values):
    import torch
    from safetensors.torch import save

    return save({key: torch.tensor([value]) for key, value in values.items()})


def keys(address, context):
    from surgery.sources import SOURCES

    return list(SOURCES["checkpoint"](Place(address)).open(context).entries)


def test_an_index_and_its_shards(index, site, online):
    assert keys(index, online) == ["a", "b"]
    assert keys(index, Context()) == ["a", "b"], "without the network"
    site.requests.clear()
    assert keys(index, online) == ["a", "b"]
    assert [request[2].get("If-None-Match") for request in site.requests] == ['"v1"'] * 3


def test_a_shard_that_changed(index, site, online):
    keys(index, online)
    site.etag = '"v2"'
    site.files["/m/one%20a.safetensors"] = shard(c=3.0)
    names = {"c": "one a.safetensors", "b": "sub/two.safetensors"}
    site.files["/m/model.safetensors.index.json"] = json.dumps({"weight_map": names}).encode()
    assert keys(index, online) == ["c", "b"]


def test_a_shard_that_is_not_there(index, site, online):
    del site.files["/m/sub/two.safetensors"]
    with pytest.raises(SurgeryError, match=r"two\.safetensors` cannot be fetched: the server answers 404") as error:
        keys(index, online)
    assert code(error) == "download"


@pytest.mark.parametrize("name", ["../x", "https://example.org/x", "/etc/passwd", "model.safetensors.index.json"])
def test_shards_that_are_not_beside_their_index(name, index, site, online):
    site.files["/m/model.safetensors.index.json"] = json.dumps({"weight_map": {"a": name}}).encode()
    with pytest.raises(SurgeryError) as error:
        keys(index, online)
    assert code(error) == "shards"
    assert len(site.requests) == 1
    with pytest.raises(SurgeryError):
        keys(index, Context())
