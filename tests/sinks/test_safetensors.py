import json
import zlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from surgery.diagnostics import SurgeryError
from surgery.formats.contents import Rest
from surgery.sinks import safetensors
from surgery.sinks.base import Request

UNKNOWN = {"complex128", "complex32"}


@pytest.mark.parametrize("source", ["held", "stored"])
def test_every_dtype_comes_back_bit_for_bit(source, request, all_dtypes, write, same):
    tensors = {key: t for key, t in all_dtypes.items() if key.split(".")[0] not in UNKNOWN}
    subject = request.getfixturevalue(source)(tensors)
    same(load_file(write(subject, "all.safetensors")), tensors)


def test_wider_elements_come_first_so_that_all_are_aligned(all_dtypes, held, write, header):
    tensors = {key: t for key, t in all_dtypes.items() if key.split(".")[0] not in UNKNOWN}
    path = write(held(tensors), "all.safetensors")
    start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    for key, described in header(path).items():
        if key != "__metadata__":
            assert (start + described["data_offsets"][0]) % tensors[key].element_size() == 0


def test_ties_are_written_once(held, write, header, make):
    tied = make("float32", (4, 4))
    path = write(held({"embed": tied, "own": make("int8", (3,)), "head": tied, "again": tied}), "tied.safetensors")
    assert set(load_file(path)) == {"embed", "own"}
    assert json.loads(header(path)["__metadata__"]["surgery.aliases"]) == {"again": "embed", "head": "embed"}


def test_metadata_of_the_source_of_the_recipe_and_of_provenance(held, write, make):
    tensor = make("int8", (1,))
    subject = held({"a": tensor}, metadata={"license": "mit", "format": "np", "surgery.aliases": "{}"})
    path = write(subject, "a.safetensors", metadata={"epoch": 3, "best": True}, provenance="abc")
    with safe_open(path, "pt") as file:
        ours = {"surgery.provenance": "abc", "surgery.crc32": f"{zlib.crc32(tensor.numpy()):08x}"}
        assert file.metadata() == {"license": "mit", "format": "pt", "epoch": "3", "best": "true"} | ours


@pytest.mark.parametrize(("limit", "provenance", "summed"), [(7, "abc", False), (8, "abc", True), (8, "", False)])
def test_what_costs_little_gets_checksums(held, write, make, monkeypatch, limit, provenance, summed):
    monkeypatch.setattr(safetensors, "UNASKED", limit)
    path = write(held({"a": make("int8", (5,)), "b": make("int8", (3,))}), "a.safetensors", provenance=provenance)
    with safe_open(path, "pt") as file:
        assert ("surgery.crc32" in file.metadata()) == summed


def test_no_tensors(held, write):
    assert load_file(write(held({}), "empty.safetensors")) == {}


def test_keys_of_any_text(held, write, make, same):
    tensors = {"ключ.é": make("int8", (2,)), 'a"b\\c': make("int8", (3,)), "": make("int8", (1,))}
    same(load_file(write(held(tensors), "odd.safetensors")), tensors)


def test_strided_tensors_are_made_contiguous(held, write, same):
    whole = torch.arange(24.0).reshape(4, 6)
    tensors = {"t": whole.t(), "row": whole[1], "column": whole[:, 1], "wide": torch.ones(1).expand(3, 3)}
    path = write(held(tensors), "strided.safetensors")
    same(load_file(path), tensors)
    assert path.stat().st_size < 4 * (24 + 6 + 4 + 9) + 600


@pytest.mark.parametrize(
    ("key", "dtype", "words"),
    [
        ("__metadata__", "int8", "a tensor named `__metadata__` would make the file unreadable"),
        ("odd\ud800", "int8", "keys are Unicode text"),
        ("z", "complex128", "safetensors has no complex128: `z`"),
    ],
)
def test_what_does_not_go_in(held, write, make, key, dtype, words):
    with pytest.raises(SurgeryError, match="not-in-this-format") as caught:
        write(held({key: make(dtype, (1,))}), "bad.safetensors")
    assert words in str(caught.value)


def test_entries_that_are_no_tensors(held, write, make):
    subject = held({"a": make("int8", (1,))}, rest=Rest({}, extra={"norm._extra_state": {"scale": 1}}))
    with pytest.raises(SurgeryError, match=r"`norm\._extra_state` is none"):
        write(subject, "bad.safetensors")


def test_the_rest_of_a_checkpoint(held, write, make):
    with pytest.raises(SurgeryError, match="safetensors holds tensors and nothing else"):
        write(held({"a": make("int8", (1,))}), "bad.safetensors", container="keep")


def test_shards_and_their_index(stored, write, make, same):
    tensors = {f"layers.{i}.w": make("float32", (100,), i) for i in range(7)}
    tensors["large"] = make("float32", (1000,), 9)
    tensors["tied"] = tensors["layers.0.w"]
    path = write(stored(tensors), "model", shard_size="1kB")
    index = json.loads((path / "model.safetensors.index.json").read_text())
    names = sorted(set(index["weight_map"].values()))
    assert names == [f"model-{i:05}-of-00005.safetensors" for i in range(1, 6)]
    assert sorted(p.name for p in path.iterdir()) == [*names, "model.safetensors.index.json"]
    assert index["metadata"]["total_size"] == 7 * 400 + 4000
    found = {}
    for name in names:
        shard = load_file(path / name)
        assert dict.fromkeys(shard, name).items() <= index["weight_map"].items()
        assert sum(t.nbytes for t in shard.values()) <= 1000 or len(shard) == 1
        found.update(shard)
    assert set(found) == set(index["weight_map"])
    same(found, {key: t for key, t in tensors.items() if key != "tied"})


@pytest.mark.parametrize("options", [{"path": "model"}, {"path": "m.1/"}, {"path": "model", "shard_size": "1GB"}])
def test_one_shard_has_the_usual_name_and_no_index(options, held, write, make, same):
    tensors = {"a": make("float32", (10,))}
    path = write(held(tensors), **options)
    assert [p.name for p in path.iterdir()] == ["model.safetensors"]
    same(load_file(path / "model.safetensors"), tensors)


@pytest.mark.parametrize(("limit", "fits"), [(200, False), (600, True)])
def test_a_header_that_is_too_long_is_known_from_the_plan(held, monkeypatch, limit, fits):
    monkeypatch.setattr(safetensors, "_HEADER_LIMIT", limit)
    subject = held({f"w{n}": torch.ones(2) for n in range(4)})
    sink = safetensors.SafetensorsSink()
    if fits:
        assert sink.check(subject, Request()) == ()
        return
    with pytest.raises(SurgeryError, match="too many tensors"):
        sink.check(subject, Request())
