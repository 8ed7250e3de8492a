"""Weights on the disk: hooks beside other devices, placements one after the other, memory."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.hooks import AlignDevicesHook
from safetensors.torch import save_file
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import surgery
from surgery.diagnostics import SurgeryError
from surgery.engine.offload import OnDisk
from surgery.formats import read
from surgery.model.assemble import assemble
from surgery.model.given import subject_of_module
from surgery.model.placement import place
from surgery.planning.context import Context
from surgery.tensors.subject import Offload, Subject


def placed(module: nn.Module, devices: dict[str, str | None], *whole: str) -> Subject:
    subject = subject_of_module(module, "model", Context())
    entries = {k: dataclasses.replace(e, device=devices[k.split(".")[0]]) for k, e in subject.entries.items()}
    return subject.replace(entries=entries, offload=Offload(whole=whole))


def test_the_disk_beside_other_devices() -> None:
    """What is on the disk computes on the first accelerator. (accelerate cannot bring in fake tensors.)"""
    net = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2)).eval()
    subject = placed(net, {"0": None, "1": "disk", "2": "cuda:1"})
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors = {
            key: torch.empty(e.spec.shape, device=e.device or "cpu")
            for key, e in subject.entries.items()
            if key[0] != "1"
        }
        weights = {
            key: torch.empty(e.spec.shape, dtype=net.state_dict()[key].dtype)
            for key, e in subject.entries.items()
            if key[0] == "1"
        }
        model = assemble(subject, {**tensors, **weights}, weights)
        assert {str(t.device) for t in model[1].state_dict().values()} == {"meta"}
        hooks = [m._hf_hook for m in model.modules() if hasattr(m, "_hf_hook")]
        assert [(type(hook), hook.execution_device) for hook in hooks] == [(AlignDevicesHook, "cuda:1")] * 2
        assert [hook.device for m in model for hook in m._forward_pre_hooks.values()] == ["cpu", "cuda:1", "cuda:1"]


def test_modules_that_stay_whole_are_brought_in_whole() -> None:
    net = nn.Sequential(nn.MultiheadAttention(4, 2), nn.Linear(4, 4))
    weights = {key: tensor.detach() for key, tensor in net.state_dict().items()}
    model = assemble(placed(net, {"0": "disk", "1": "disk"}, "MultiheadAttention"), weights, weights)
    hooked = {
        path: module._hf_hook.place_submodules for path, module in model.named_modules() if hasattr(module, "_hf_hook")
    }
    assert hooked == {"0": True, "1": False}
    x = torch.rand(3, 1, 4)
    assert torch.equal(model[0](x, x, x)[0], net[0](x, x, x)[0])


def test_a_second_placement_takes_the_hooks_of_the_first_away() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model = assemble(placed(net, {"0": None, "1": "meta"}), net.state_dict())
    assert model._forward_hooks
    again = place(model, placed(net, {"0": None, "1": None}))
    assert not again._forward_hooks
    assert not any(module._forward_pre_hooks or module._forward_pre_hooks_with_kwargs for module in again.modules())


def test_a_file_that_changed_is_told(tmp_path: Path) -> None:
    file = str(tmp_path / "a.safetensors")
    save_file({"w": torch.ones(3)}, file)
    found = read(file)
    weights = OnDisk(dict.fromkeys(("x", "y"), found.tree["w"]), found.files)
    assert list(weights) == ["x", "y"]
    assert torch.equal(weights["x"], torch.ones(3))
    assert weights["x"].data_ptr() % 64 == 0
    os.utime(file, (1, 1))
    with pytest.raises(SurgeryError, match="source-changed"):
        weights["y"]
    os.unlink(file)
    with pytest.raises(SurgeryError, match="source-changed"):
        weights["x"]


_SCRIPT = r"""
import re, sys, torch, surgery
from accelerate import init_empty_weights
from safetensors.torch import save_file
from torch import nn

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) // 1024

def run(file, layers, size):
    with init_empty_weights():
        empty = nn.Sequential(*(nn.Linear(size, size) for _ in range(layers)))
    dtype, step = (torch.float32, []) if sys.argv[1] == "lying" else (torch.bfloat16, [{"cast": "** -> bfloat16"}])
    where = {"map": "** -> disk", "offload_dir": f"off-{file}"}
    recipe = surgery.load([{"load": {"from": {"checkpoint": file}}}, *step, {"device_map": where}])
    plan = recipe.plan(model=empty)
    with torch.no_grad():
        plan.execute().model(torch.ones(2, size, dtype=dtype))
    return plan

save_file({f"0.{n}": torch.rand(s) for n, s in (("weight", (3, 3)), ("bias", (3,)))}, "small.safetensors")
run("small.safetensors", 1, 3)  # imports
open("/proc/self/clear_refs", "w").write("5")
before = peak()
plan = run("large.safetensors", 20, 2048)
print(peak() - before, plan.cost.peak // 1_000_000)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("how", ["lying", "written"])
def test_what_is_on_the_disk_is_never_in_memory_as_a_whole(how: str, tmp_path: Path) -> None:
    """336 MB of weights in layers of 17 MB."""
    state = {f"{i}.{n}": torch.rand(s) for i in range(20) for n, s in (("weight", (2048, 2048)), ("bias", (2048,)))}
    save_file(state, tmp_path / "large.safetensors")
    command = [sys.executable, "-c", _SCRIPT, how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    used, planned = map(int, re.findall(r"\d+", done.stdout))
    assert used < 50
    assert planned < 42


class Reaches(nn.Module):
    """Takes the weight of a layer inside without calling it, as attention of timm's BEiT does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.scales = nn.ParameterList([torch.rand(4)])

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.inner.weight) * self.scales[0]


def test_weights_that_are_taken_without_a_call_are_brought_in(tmp_path: Path) -> None:
    net, x = nn.Sequential(Reaches(), nn.Linear(4, 2)), torch.rand(3, 4)
    recipe = surgery.load([{"device_map": {"map": "** -> disk", "offload_dir": str(tmp_path / "off")}}])
    with torch.no_grad():
        assert torch.equal(recipe.run(model=net).model(x), net(x))
    split = {"map": "0.inner -> disk, ** -> cpu", "offload_dir": str(tmp_path / "off2")}
    with pytest.raises(SurgeryError, match="`0`, a Reaches, would be on disk and cpu"):
        surgery.load([{"device_map": split}]).plan(model=net)


@pytest.mark.filterwarnings("ignore")
def test_a_weight_that_a_hook_computes_cannot_be_on_the_disk(tmp_path: Path) -> None:
    net = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 2))
    step = {"map": "** -> disk", "offload_dir": str(tmp_path / "off")}
    with pytest.raises(SurgeryError, match="`0` computes its `weight` in a hook, before it is brought in"):
        surgery.load([{"device_map": step}]).plan(model=net)
    surgery.load([{"device_map": {**step, "map": "1 -> disk, ** -> cpu"}}]).run(model=net)


def test_rules_and_a_policy_do_not_go_together() -> None:
    for word in ({"policy": "auto"}, {"max_memory": {"cpu": "1GB"}}):
        with pytest.raises(SurgeryError, match="do not go together"):
            surgery.load([{"device_map": {"map": "** -> cpu", **word}}])
