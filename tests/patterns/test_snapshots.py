"""Pattern 11: what a recipe returns shares no writable storage with what it was given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import surgery
from surgery.steps import STEPS


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.embed, self.head = nn.Linear(8, 8), nn.Linear(8, 8)
        self.head.weight = self.embed.weight
        self.register_buffer("grid", torch.arange(8.0), persistent=False)
        self.scale = torch.ones(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(self.body(x)))


ON_MODELS: dict[str, Any] = {
    "cast": "body.0 -> float64",
    "check": {"finite": "**"},
    "device_map": "** -> cpu",
    "extract": "body",
    "freeze": "body",
    "init": "head.bias -> zeros_",
    "mode": "eval",
    "replace_layer": "body.0 -> Conv2d(4, ...) with overlap",
    "set": "**[BatchNorm2d] -> eps=1e-3",
    "tie": "head.bias -> embed.bias",
    "unfreeze": "body",
    "untie": "head.weight",
}
ON_DICTS: dict[str, Any] = {
    "convert": "embed.weight -> (a|b).weight via chunk, body.0.weight -> body.0.weight via reshape(8, -1)",
    "copy": "embed -> again",
    "create": "mean -> zeros(3)",
    "filter": {"drop": "head"},
    "rename": "body -> encoder",
    "unwrap": "optional",
}


def storages(thing: Any) -> dict[int, str]:
    """Every storage that is reached from a model or a state dict, buffers and plain attributes too."""
    if not isinstance(thing, nn.Module):
        return {tensor.untyped_storage().data_ptr(): key for key, tensor in thing.items()}
    found = {tensor.untyped_storage().data_ptr(): key for key, tensor in thing.named_parameters()}
    found |= {tensor.untyped_storage().data_ptr(): key for key, tensor in thing.named_buffers()}
    for path, module in thing.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                found[value.untyped_storage().data_ptr()] = f"{path}.{name}"
    return found


def test_every_step_is_here() -> None:
    # `use` has the steps of another recipe, and none of its own
    assert {*ON_MODELS, *ON_DICTS, "load", "use"} == set(STEPS)


@pytest.mark.parametrize("step", [*ON_MODELS, *ON_DICTS])
def test_nothing_is_shared(step: str) -> None:
    net = Net()
    given: Any = net if step in ON_MODELS else net.state_dict()
    before = deepcopy(net.state_dict())
    how = {"model": given} if step in ON_MODELS else {"state_dict": given}
    result = surgery.load({"steps": [{step: {**ON_MODELS, **ON_DICTS}[step]}]}).run(**how)
    made: Any = result.model if step in ON_MODELS else result.state_dict
    assert not storages(net).keys() & storages(made).keys()
    for tensor in (made.state_dict() if isinstance(made, nn.Module) else made).values():
        tensor.zero_()
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())


def test_load_shares_with_neither(same: Callable[..., None]) -> None:
    net, other = Net(), Net()
    state = other.state_dict()
    load = {"from": {"given": "weights"}}
    recipe = surgery.load({"source": {"given": "net"}, "steps": [{"load": load}]})
    made = recipe.run(given={"net": net, "weights": state}).model
    same(made.state_dict(), state)
    assert not storages(made).keys() & (storages(net) | storages(state)).keys()


def test_two_runs_share_nothing() -> None:
    net = Net()
    plan = surgery.load({"steps": [{"mode": "eval"}]}).plan(model=net)
    assert not storages(plan.execute().model).keys() & storages(plan.execute().model).keys()


def test_the_best_so_far(same: Callable[..., None]) -> None:
    """Beside it `copy.deepcopy`, and the trap."""
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    snapshot = surgery.load({"steps": []})

    def train() -> None:
        optimizer.zero_grad()
        net(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()

    train()
    trap, by_hand, best = net.state_dict(), deepcopy(net), snapshot.run(model=net).model
    train()
    same(best.state_dict(), by_hand.state_dict())
    assert best.head.weight is best.embed.weight
    same(trap, net.state_dict())
    assert not torch.equal(trap["body.0.weight"], best.body[0].weight)


MEASURE = """
import torch, surgery
from torch import nn

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

snapshot = surgery.load({"steps": [{"freeze": "**"}]})
snapshot.run(model=nn.Linear(2, 2))
net = nn.Sequential(*(nn.Linear(2048, 2048, bias=False) for _ in range(16)))
before = peak()
made = snapshot.run(model=net).model
print(len(list(made.parameters())), (peak() - before) * 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_no_second_copy_is_made() -> None:
    """The snapshot of a model of 268 MB takes as much, and hardly more, at its peak."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    parameters, taken = map(int, done.stdout.split())
    size = 16 * 2048 * 2048 * 4
    assert parameters == 16
    assert 0.9 * size < taken < 1.2 * size, taken / size
