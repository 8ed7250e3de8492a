"""Checkpoints as trainers and libraries lay them out: what is found, what has to be named, what is refused and why."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import enum
import io
import pathlib
import pickle
import random
import tarfile
import zipfile
from collections import OrderedDict, defaultdict

import numpy
import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError
from surgery.formats import Placeholder, read
from surgery.formats.entries import choose

MODEL = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
STATE = MODEL.state_dict()


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Config:
    rate: float = 0.1
    place: pathlib.Path = pathlib.Path("x/y")

    @dataclasses.dataclass
    class Inner:
        depth: int = 3


class OwnDict(OrderedDict):
    pass


class AttributeDict(dict):
    __getattr__ = dict.__getitem__


class Slots:
    __slots__ = ("name", "weight")

    def __init__(self):
        self.name, self.weight = "x", torch.ones(2)


def optimizer_state():
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


RANDOM = {
    "python": random.getstate(),
    "numpy": numpy.random.get_state(),
    "cpu": torch.get_rng_state(),
    "cuda": [torch.get_rng_state()],
}

FOUND = {
    "fairseq": (
        {
            "args": argparse.Namespace(x=1),
            "cfg": Config(),
            "model": STATE,
            "optimizer_history": [{"num_updates": 3}],
            "extra_state": {"train_iterator": {"epoch": 1}, "val_loss": 2.0},
            "last_optimizer_state": optimizer_state(),
        },
        ("model",),
    ),
    "deepspeed": (
        {
            "module": STATE,
            "buffer_names": ["1.running_mean"],
            "param_shapes": [OrderedDict({"0.weight": torch.Size([3, 2])})],
            "sparse_tensor_module_names": set(),
            "ds_config": {},
        },
        ("module",),
    ),
    "detectron2": (
        {"model": STATE, "optimizer": optimizer_state(), "iteration": 1, "matching_heuristics": True},
        ("model",),
    ),
    "yolo": ({"epoch": -1, "best_fitness": numpy.float64(0.5), "model": MODEL, "ema": None}, ("model",)),
    "a loss with a centre": (
        {"teacher": STATE, "dino_loss": {"center": torch.ones(1, 5)}, "rng": RANDOM},
        ("teacher",),
    ),
    "an average": ({"model": STATE, "ema": {"decay": torch.tensor(0.9), "shadow": [torch.ones(3)]}}, ("model",)),
    "objects": (
        {
            "state_dict": STATE,
            "color": Color.RED,
            "inner": Config.Inner(),
            "path": pathlib.Path("a/b"),
            "counter": collections.Counter("aab"),
            "queue": collections.deque([1, 2]),
            "object": Slots(),
            "array": numpy.array([1, "a"], dtype=object),
            "table": numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
            "size": torch.Size([1, 2]),
        },
        ("state_dict",),
    ),
    "a dict of one's own": (OwnDict(STATE), ()),
    "a dict with attributes": (AttributeDict(STATE), ()),
    "a dict with defaults": (defaultdict(list, STATE), ()),
    "in a dict with defaults": (defaultdict(dict, {"net": STATE}), ("net",)),
}


def saved(thing, path):
    torch.save(thing, path / "a.pt")
    return read(path / "a.pt", name="a.pt")


@pytest.mark.parametrize("case", FOUND)
def test_the_model_is_found(case, tmp_path):
    thing, entry = FOUND[case]
    state = choose(saved(thing, tmp_path))
    assert state.entry == entry
    assert list(state.tensors) == list(STATE)


MEGATRON = {
    "model": {
        "language_model": {
            "embedding": {"word": {"weight": torch.ones(2)}, "position": {"weight": torch.ones(2)}},
            "encoder": {"layers.0.w": torch.ones(2), "layers.1.w": torch.ones(2)},
        }
    },
    "iteration": 5,
    "optimizer": optimizer_state(),
}

REFUSED = {
    "two": ({"G": STATE, "D": STATE | {}}, "`G` (7 tensors), `D` (7 tensors)"),
    "a tree": (MEGATRON, "the entry `model.language_model` is all of them as one tree"),
    "an optimizer": (optimizer_state(), "tensors stand in `state`, which look like no model"),
    "random states": (RANDOM, "tensors stand in `numpy`, `cpu`, `cuda`, which look like no model"),
    "a list": ([torch.ones(2), torch.ones(3)], "the entry `.` is everything as one tree"),
    "settings": (Config(), "it holds `rate`, `place`"),
    "keys that are no texts": ({"a": torch.ones(2), (1, 2): torch.ones(2)}, "a tensor of `a.pt` has the key (1, 2)"),
    "one key twice": ({"1": torch.ones(2), 1: torch.ones(2)}, "two entries of `a.pt` have the key `1`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_to_be_named_or_cannot_be(case, tmp_path):
    thing, words = REFUSED[case]
    with pytest.raises(SurgeryError) as error:
        choose(saved(thing, tmp_path))
    assert error.value.diagnostics[0].code == "entry"
    assert words in str(error.value)


def test_what_the_errors_advise_works(tmp_path):
    tree = choose(saved(MEGATRON, tmp_path), "model.language_model")
    keys = "embedding.word.weight embedding.position.weight encoder.layers.0.w encoder.layers.1.w"
    assert list(tree.tensors) == keys.split()
    assert list(choose(saved(optimizer_state(), tmp_path), "state").tensors)[:2] == ["0.step", "0.exp_avg"]
    assert list(choose(saved([torch.ones(2), torch.ones(3)], tmp_path), ".").tensors) == ["0", "1"]


def test_keys_that_are_numbers_are_texts(tmp_path):
    assert list(choose(saved({0: torch.ones(2), 1: torch.ones(2)}, tmp_path)).tensors) == ["0", "1"]


def test_a_class_within_a_class_is_written_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint = saved({"model": STATE, "inner": Config.Inner(5)}, tmp_path)
    assert isinstance(checkpoint.tree["inner"], Placeholder)
    (tmp_path / "r.yaml").write_text(
        "surgery: 1\nsource: {checkpoint: a.pt}\nsteps: [{rename: '0 -> a'}]\noutput: {path: b.pt, container: keep}\n"
    )
    surgery.load("r.yaml").run()
    assert torch.load("b.pt", weights_only=False)["inner"] == Config.Inner(5)


def test_extra_state_with_tensors_in_it_stays_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = OrderedDict({"a.w": torch.ones(2), "a._extra_state": {"amax": torch.ones(3), "scale": 2}})
    found = choose(saved(state, tmp_path))
    assert list(found.tensors) == ["a.w"]
    (tmp_path / "r.yaml").write_text(
        "surgery: 1\nsource: {checkpoint: a.pt}\nsteps: [{rename: 'a -> b'}]\noutput: b.pt\n"
    )
    surgery.load("r.yaml").run()
    written = torch.load("b.pt", weights_only=True)
    assert list(written) == ["b.w", "b._extra_state"]
    assert written["b._extra_state"]["scale"] == 2
    assert torch.equal(written["b._extra_state"]["amax"], torch.ones(3))


def test_subclasses_of_a_distributed_run_are_named(tmp_path):
    from torch.distributed.tensor import DTensor, Replicate
    from torch.distributed.tensor._dtensor_spec import DTensorSpec, TensorMeta

    tensor = torch.ones(2)
    mesh = _mesh()
    spec = DTensorSpec(mesh, (Replicate(),), tensor_meta=TensorMeta(tensor.shape, tensor.stride(), tensor.dtype))
    state = choose(saved({"w": DTensor(tensor, spec, requires_grad=False), "x": torch.ones(2)}, tmp_path))
    assert state.tensors["w"].spec.dtype.name == "subclass"


def _mesh():
    from torch.distributed.device_mesh import DeviceMesh

    return DeviceMesh("cpu", [0], _init_backend=False, _rank=0)


def test_a_zip_that_was_packed_again(tmp_path, tensor, same):
    torch.save({"a": torch.arange(1000.0)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(tmp_path / "stored.pt", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    assert same(tensor(read(tmp_path / "stored.pt").tree["a"]), torch.arange(1000.0))
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(SurgeryError, match="is compressed") as error:
        read(tmp_path / "packed.pt")
    assert "`torch.load` and `torch.save`" in error.value.diagnostics[0].notes[0]
    assert torch.equal(torch.load(tmp_path / "packed.pt", weights_only=True)["a"], torch.arange(1000.0)), "as it says"


def test_the_archives_of_torch_before_0_1_10(tmp_path):
    with tarfile.open(tmp_path / "old.pth.tar", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps({}, 2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(SurgeryError, match=r"written by torch before 0\.1\.10") as error:
        read(tmp_path / "old.pth.tar")
    assert error.value.diagnostics[0].code == "not-a-checkpoint"
