"""A model written whole: torch reads back what it was; the bytes depend on nothing else; what cannot be is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import surgery
from surgery.formats import read
from surgery.formats.entries import choose

ZOO = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
        self.fc = nn.Linear(8, 4, bias=False)
        self.head = nn.Linear(8, 4, dtype=torch.bfloat16)
        self.again = nn.Linear(8, 4, bias=False)
        self.again.weight = self.fc.weight
        self.fc.requires_grad_(False)
        self.words = {"ox", "ass", "hen", "cow", "cat", "dog"}
        self.plain = torch.arange(3.0)
        self.register_buffer("index", torch.arange(5), persistent=False)
        self.register_buffer("eight", torch.zeros(2).to(torch.float8_e4m3fn))
        self.register_forward_hook(hook)


def hook(module, args, output):
    return output
"""
RECIPE = {"steps": [{"mode": "eval"}], "output": {"path": "out.pt", "format": "module", "overwrite": True}}


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[nn.Module]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "zoo.py").write_text(ZOO)
    sys.modules.pop("zoo", None)
    torch.manual_seed(0)
    yield __import__("zoo").Net()
    sys.modules.pop("zoo", None)


def bits(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())


def written(model: nn.Module) -> nn.Module:
    surgery.load(RECIPE).run(model=model)
    return torch.load("out.pt", weights_only=False)


def test_it_is_the_same_model(net: nn.Module) -> None:
    back = written(net)
    assert type(back) is type(net)
    assert not back.training
    assert net.training
    state = back.state_dict()
    assert list(state) == list(net.state_dict())
    for key, tensor in net.state_dict().items():
        assert state[key].dtype == tensor.dtype, key
        assert bits(state[key]) == bits(tensor), key
        assert state[key].stride() == tensor.stride(), key
    assert back.again.weight is back.fc.weight
    trained = {name: p.requires_grad for name, p in net.named_parameters()}
    assert {name: p.requires_grad for name, p in back.named_parameters()} == trained
    assert torch.equal(back.index, net.index)
    assert torch.equal(back.plain, net.plain)
    assert back.words == net.words
    assert len(back._forward_hooks) == 1
    assert {str(tensor.device) for tensor in state.values()} == {"cpu"}


def test_its_tensors_are_read_without_permission(net: nn.Module) -> None:
    written(net)
    found = surgery.load({"source": {"checkpoint": "out.pt"}}).run().state_dict
    assert {key: bits(tensor) for key, tensor in found.items()} == {k: bits(t) for k, t in net.state_dict().items()}
    state = choose(read("out.pt"))
    assert state.of_module
    assert state.tensors["again.weight"] is state.tensors["fc.weight"]


def test_what_was_edited_is_written(net: nn.Module) -> None:
    steps = [{"replace_layer": "head -> Linear(8, 2)"}, {"cast": "body -> float64"}, {"unfreeze": "fc"}]
    surgery.load({**RECIPE, "steps": steps}).run(model=net)
    back = torch.load("out.pt", weights_only=False)
    assert back.head.weight.shape == (2, 8)
    assert back.body[0].weight.dtype == torch.float64
    assert torch.equal(back.body[0].weight, net.body[0].weight.double())
    assert back.fc.weight.requires_grad


def test_through_a_file_and_back(net: nn.Module) -> None:
    written(net)
    recipe = {"source": {"checkpoint": "out.pt"}, "output": {"path": "again.pt", "format": "module"}}
    surgery.load(recipe).run(allow="pickle:out.pt")
    assert torch.equal(torch.load("again.pt", weights_only=False).fc.weight, net.fc.weight)


def test_equal_models_are_equal_files(net: nn.Module) -> None:
    torch.save(net, "in.pt")
    script = (
        "import surgery; surgery.load({'source': {'checkpoint': 'in.pt'}, 'output': {'path': 'out.pt', 'format': "
        "'module', 'overwrite': True}}).run(allow='pickle')"
    )
    seen = set()
    for seed in "123":
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()}
        subprocess.run([sys.executable, "-c", script], check=True, env=env)
        seen.add(Path("out.pt").read_bytes())
    assert len(seen) == 1


def test_a_device_is_written_and_need_not_be_there(net: nn.Module) -> None:
    recipe = {**RECIPE, "source": {"checkpoint": {"path": "in.pt", "map_location": "cuda:0"}}}
    torch.save(net, "in.pt")
    surgery.load(recipe).run(allow="pickle")
    found = read("out.pt")
    assert {trait.location for trait in found.traits.values()} == {"cuda:0"}
    assert str(torch.load("out.pt", weights_only=False, map_location="cpu").fc.weight.device) == "cpu"


def test_the_plan_says_what_reading_takes(net: nn.Module) -> None:
    remark = surgery.load(RECIPE).plan(model=net).remarks[-1]
    assert remark == (
        "a pickled module runs code where it is loaded: that takes permission, and needs `zoo.Net`, `zoo.hook` there"
    )
    (remark,) = surgery.load(RECIPE).plan(model=nn.Linear(2, 2)).remarks
    assert remark == "a pickled module runs code where it is loaded: that takes permission"


def local() -> nn.Module:
    class Local(nn.Linear):
        pass

    return Local(2, 2)


def with_lambda() -> nn.Module:
    made = nn.Linear(2, 2)
    made.f = lambda x: x
    return made


def on_meta() -> nn.Module:
    made = nn.Linear(2, 2)
    made.note = torch.zeros(2).to_sparse()
    return made


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable) -> None:
    monkeypatch.chdir(tmp_path)
    weight_norm = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    keep = {**RECIPE["output"], "container": "keep"}
    metadata = {**RECIPE["output"], "metadata": {"by": "me"}}
    shards = {**RECIPE["output"], "path": "out/", "shard_size": "1GB"}
    cases = [
        (RECIPE, local()),
        (RECIPE, with_lambda()),
        (RECIPE, on_meta()),
        (RECIPE, weight_norm),
        ({**RECIPE, "steps": [{"rename": "weight -> w"}]}, nn.Linear(2, 2)),
        ({**RECIPE, "output": keep}, nn.Linear(2, 2)),
        ({**RECIPE, "output": metadata}, nn.Linear(2, 2)),
        ({**RECIPE, "output": shards}, nn.Linear(2, 2)),
        ({**RECIPE, "steps": [{"device_map": "weight -> meta, bias -> cpu"}]}, nn.Linear(2, 2)),
    ]
    said = []
    for recipe, model in cases:
        with pytest.raises(surgery.SurgeryError) as caught:
            surgery.load(recipe).run(model=model)
        said.append(str(caught.value))
        assert not os.listdir(tmp_path), "nothing is written"
    golden("sinks/module_errors", "\n\n".join(said).replace(f"{__name__}.", ""))
