"""Safetensors, one file and shards: read as the format's own library reads them; whatever is off is refused."""

from __future__ import annotations

import json
import struct

import pytest
import safetensors.torch
import torch

from surgery.diagnostics import SurgeryError
from surgery.formats import read
from surgery.limits import limited, limits
from surgery.tensors.expr import Stored

DTYPES = [
    "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 float8_e8m0fnu float8_e4m3fnuz float8_e5m2fnuz",
    "int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool complex64",
]


def write(path, header, data=b"", pad=0):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) + pad) + text + data)
    return path


def tensor_of(dtype="F32", shape=(2,), begin=0, end=8):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize("name", " ".join(DTYPES).split())
def test_every_dtype(name, tmp_path, tensor, same):
    dtype = getattr(torch, name)
    size = torch.empty(0, dtype=dtype).element_size()
    raw = torch.randint(0, 2 if name == "bool" else 256, (6 * size,), dtype=torch.uint8)
    views = {
        "a": raw.view(dtype).reshape(2, 3),
        "zero_dim": raw[:size].view(dtype).reshape(()),
        "e": raw[:0].view(dtype),
    }
    saved = {key: view.clone() for key, view in views.items()}
    safetensors.torch.save_file(saved, tmp_path / "a.safetensors", metadata={"made": "here"})
    found = read(tmp_path / "a.safetensors")
    assert found.format == "safetensors"
    assert found.metadata == {"made": "here"}
    assert set(found.tree) == set(saved)
    assert all(same(tensor(found.tree[key]), saved[key]) for key in saved)
    assert all(isinstance(expr, Stored) for expr in found.tree.values())


def test_aliases_are_one_expression(tmp_path):
    metadata = {"surgery.aliases": json.dumps({"head": "embed"}), "made": "here"}
    path = write(tmp_path / "a", {"__metadata__": metadata, "embed": tensor_of()}, bytes(8))
    found = read(path)
    assert found.tree["head"] is found.tree["embed"]
    assert found.metadata == {"made": "here"}


@pytest.mark.parametrize(
    ("aliases", "held", "stale"),
    [
        ({"c": "renamed"}, {}, "`c = renamed`"),
        ({"b": "a"}, {}, "`b = a`"),
        ({"b": "a", "c": "a"}, {"c": "a"}, "`b = a`"),
        ({"c": "d", "d": "a"}, {"d": "a"}, "`c = d`"),
        ({"c": "d", "d": "c"}, {}, "`c = d`, `d = c`"),
    ],
)
def test_aliases_that_are_no_longer_true_are_passed_over(tmp_path, aliases, held, stale):
    metadata = {"surgery.aliases": json.dumps(aliases)}
    path = write(tmp_path / "a.safetensors", {"__metadata__": metadata, **GOOD}, bytes(16))
    found = read(path)
    assert set(found.tree) == {"a", "b", *held}
    assert found.tree["a"] is not found.tree["b"]
    assert all(found.tree[alias] is found.tree[name] for alias, name in held.items())
    assert not found.metadata
    assert len(found.remarks) == 1
    assert f"{stale} in its metadata `surgery.aliases`" in found.remarks[0]


def test_shards_tell_of_aliases_that_are_no_longer_true(tmp_path):
    metadata = {"surgery.aliases": json.dumps({"head": "renamed"})}
    write(tmp_path / "m.safetensors", {"__metadata__": metadata, "embed": tensor_of()}, bytes(8))
    (tmp_path / "x.index.json").write_text(json.dumps({"weight_map": {"embed": "m.safetensors"}}))
    found = read(tmp_path / "x.index.json")
    assert list(found.tree) == ["embed"]
    assert "`head = renamed`" in found.remarks[0]


GOOD = {"a": tensor_of(), "b": tensor_of(begin=8, end=16)}
REFUSED = {
    "cut header": (json.dumps(GOOD).encode(), b"", 50, "cut off"),
    "cut data": (GOOD, bytes(15), 0, "cut off"),
    "trailing bytes": (GOOD, bytes(17), 0, "1 bytes follow its tensors"),
    "overlap": ({"a": tensor_of(), "b": tensor_of(begin=4, end=12)}, bytes(12), 0, "overlap"),
    "same range": ({"a": tensor_of(), "b": tensor_of(shape=(2, 1))}, bytes(8), 0, "overlap"),
    "hole": ({"a": tensor_of(), "b": tensor_of(begin=12, end=20)}, bytes(20), 0, "hole"),
    "hole in front": ({"a": tensor_of(begin=8, end=16)}, bytes(16), 0, "hole"),
    "wrong size": ({"a": tensor_of(shape=(3,))}, bytes(8), 0, "do not agree"),
    "backwards": ({"a": tensor_of(begin=8, end=0)}, bytes(8), 0, "do not agree"),
    "negative": ({"a": tensor_of(shape=(-2,))}, bytes(8), 0, "no sizes"),
    "true is no size": ({"a": tensor_of(shape=(True, 2))}, bytes(8), 0, "no sizes"),
    "float": ({"a": tensor_of(shape=(2.0,))}, bytes(8), 0, "no sizes"),
    "huge": ({"a": tensor_of(shape=(1 << 70, 0), end=0)}, b"", 0, "no sizes"),
    "two equal names": (
        b'{"a":%s,"a":%s}' % ((json.dumps(tensor_of()).encode(),) * 2),
        bytes(8),
        0,
        "stands in it twice",
    ),
    "two dtypes": (b'{"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}', bytes(8), 0, "twice"),
    "more words": ({"a": {**tensor_of(), "more": 1}}, bytes(8), 0, "is not described"),
    "a list": (b"[1]", b"", 0, None),
    "deep": (b'{"a":' + b"[" * 100_000, b"", 0, "nested too deeply"),
    "no utf-8": (b'{"\xff":1}', b"", 0, "not UTF-8"),
    "a lone surrogate": (rb'{"\ud800":1}', b"", 0, "no text"),
    "not a number": (b'{"a":NaN}', b"", 0, "no number"),
    "a number of many digits": (b'{"a":' + b"9" * 10_000 + b"}", b"", 0, "damaged"),
    "metadata of numbers": ({"__metadata__": {"a": 1}, **GOOD}, bytes(16), 0, "something else than texts"),
    "aliases of numbers": ({"__metadata__": {"surgery.aliases": '{"c":1}'}, **GOOD}, bytes(16), 0, "than names"),
    "aliases in a list": ({"__metadata__": {"surgery.aliases": '["c"]'}, **GOOD}, bytes(16), 0, "no JSON object"),
    "aliases damaged": ({"__metadata__": {"surgery.aliases": "{"}, **GOOD}, bytes(16), 0, "is damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_off_is_refused(case, tmp_path):
    header, data, pad, words = REFUSED[case]
    with pytest.raises(SurgeryError) as error:
        read(write(tmp_path / "a.safetensors", header, data, pad))
    assert error.value.diagnostics[0].code == ("corrupt-checkpoint" if words else "not-a-checkpoint")
    assert (words or "") in str(error.value)
    assert "a.safetensors" in str(error.value)


def test_an_unknown_dtype_is_named(tmp_path):
    path = write(tmp_path / "a", {"a": tensor_of("F4", end=1)}, bytes(1))
    with pytest.raises(SurgeryError, match="the tensor `a` is of the dtype 'F4'") as error:
        read(path)
    assert error.value.diagnostics[0].code == "unsupported-checkpoint"


def test_a_header_beyond_the_limit(tmp_path):
    path = write(tmp_path / "a", GOOD, bytes(16))
    with limited({"header": 10}), pytest.raises(SurgeryError, match="says that its header has") as error:
        read(path)
    assert error.value.diagnostics[0].code == "too-large"
    path.write_bytes(struct.pack("<Q", limits().header + 1) + b"{")
    with pytest.raises(SurgeryError, match="says that its header has"):
        read(path)


@pytest.fixture
def sharded(tmp_path):
    """A checkpoint in two shards: the directory, and what is in it."""
    parts = {
        "model-00001-of-00002.safetensors": {"a": torch.ones(2), "b": torch.zeros(3)},
        "model-00002-of-00002.safetensors": {"c": torch.full((2,), 2.0)},
    }
    for name, tensors in parts.items():
        safetensors.torch.save_file(tensors, tmp_path / name, metadata={"format": "pt"})
    weight_map = {key: name for name, tensors in parts.items() for key in tensors}
    index = {"metadata": {"total_size": 28}, "weight_map": weight_map}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path, {key: value for tensors in parts.values() for key, value in tensors.items()}


@pytest.mark.parametrize("inside", ["", "model.safetensors.index.json"])
def test_shards(inside, sharded, tensor, same):
    directory, expected = sharded
    found = read(directory / inside)
    assert found.format == "sharded-safetensors"
    assert list(found.tree) == list(expected)
    assert all(same(tensor(found.tree[key]), expected[key]) for key in expected)
    assert found.metadata == {"format": "pt"}
    assert len(found.files) == 3


def test_shards_of_torch_files(tmp_path, tensor, same):
    for number in range(12):
        torch.save({f"layer.{number}": torch.full((2,), float(number))}, tmp_path / f"part-{number}.bin")
    weight_map = {f"layer.{number}": f"part-{number}.bin" for number in range(12)}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = read(tmp_path)
    assert list(found.tree) == list(weight_map), "part 10 comes after part 2"
    assert same(tensor(found.tree["layer.11"]), torch.full((2,), 11.0))


HOSTILE_NAMES = [
    "../x",
    "/etc/passwd",
    "~/x",
    "a\\b",
    "C:x",
    "https://x/y",
    "a\0b",
    "a\nb",
    "a/../b",
    "./a",
    "a//b",
    "",
    3,
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=repr)
def test_names_of_shards_are_plain(name, sharded):
    directory, _ = sharded
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(SurgeryError, match="the file of the tensor `a` is named") as error:
        read(directory)
    assert error.value.diagnostics[0].code == "shards"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda d, i: i["weight_map"].pop("b"), "shards", "holds `b`, which"),
        (
            lambda d, i: i["weight_map"].update(d="model-00002-of-00002.safetensors"),
            "shards",
            "holds `d`, and it does not",
        ),
        (lambda d, i: i["weight_map"].update(d="model-00003-of-00003.safetensors"), "no-file", "00003-of-00003"),
        (lambda d, i: (d / "model.safetensors").touch(), "several-checkpoints", "`model.safetensors`"),
        (lambda d, i: (d / "pytorch_model.bin.index.json").touch(), "several-checkpoints", "holds several checkpoints"),
        (lambda d, i: i.update(weight_map={}), "corrupt-checkpoint", "no `weight_map`"),
    ],
)
def test_shards_and_index_agree(change, code, words, sharded):
    directory, _ = sharded
    path = directory / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(directory, index)
    path.write_text(json.dumps(index))
    with pytest.raises(SurgeryError) as error:
        read(directory)
    assert error.value.diagnostics[0].code == code
    assert words in str(error.value)


def test_an_index_named_by_itself_has_no_single_file_beside_it(sharded):
    directory, _ = sharded
    (directory / "model.safetensors").touch()
    with pytest.raises(SurgeryError, match=r"the single file `model\.safetensors` is there too"):
        read(directory / "model.safetensors.index.json")


def test_shards_without_an_index(sharded):
    directory, _ = sharded
    (directory / "model.safetensors.index.json").unlink()
    with pytest.raises(SurgeryError, match="holds 2 shards, and no index") as error:
        read(directory)
    assert error.value.diagnostics[0].code == "shards"


def test_a_tied_name_in_a_shard_needs_no_line_in_the_index(tmp_path):
    metadata = {"surgery.aliases": json.dumps({"head": "embed"})}
    write(tmp_path / "m.safetensors", {"__metadata__": metadata, "embed": tensor_of()}, bytes(8))
    (tmp_path / "x.index.json").write_text(json.dumps({"weight_map": {"embed": "m.safetensors"}}))
    found = read(tmp_path / "x.index.json").tree
    assert found["head"] is found["embed"]
