"""Downloads: permission, cache, resumption, digests, and servers that misbehave."""

from __future__ import annotations

import hashlib
import os

import pytest

from surgery.diagnostics import SurgeryError
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
    ("status", "words"), [(404, "nothing at that address"), (403, "does not let"), (500, "answers 500")]
)
def test_answers_that_are_no_file(status, words, url, site, online):
    site.status = status
    with pytest.raises(SurgeryError, match=words) as error:
        locate(Place(url), online)
    assert code(error) == "download"


def test_nobody_is_there(online):
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


@pytest.mark.parametrize("address", ["http://example.org/x", "https://", "https:// x/y"])
def test_addresses_that_are_refused(address, online):
    with pytest.raises(SurgeryError) as error:
        locate(Place(address), online)
    assert code(error) == "place"


def test_an_index_of_shards_is_not_fetched_alone(site, online):
    site.files["/model.safetensors.index.json"] = b'{"weight_map": {"a": "one.safetensors"}}'
    with pytest.raises(SurgeryError, match="which are not fetched with it") as error:
        locate(Place(f"{site.address}/model.safetensors.index.json"), online)
    assert code(error) == "unsupported-checkpoint"


def test_names_in_the_cache_cannot_surprise(site, online):
    site.files["/%2e%2e%2f%2e%2e%2fetc%2fpasswd"] = b"x"
    path = locate(Place(f"{site.address}/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), online)
    assert path.name == "passwd"
    assert "downloads" in path.parts
