"""Pattern 3: operate on the model in a training checkpoint, keep the rest, go on training, as if done by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torchvision.models import resnet18

import surgery


class Net(nn.Module):
    def __init__(self, classes: int = 5, *, neck: bool = True) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.neck = nn.Linear(8, 8) if neck else nn.Identity()
        self.head = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.neck(self.pool(self.features(x))))


class Swapped(nn.Module):
    """The same layers, which parameters() gives in another order, under other names."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(8, 5)
        self.neck = nn.Linear(8, 8)
        self.body = Net().features
        self.pool = Net().pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.neck(self.pool(self.body(x))))


def head_of(model: nn.Module) -> list[nn.Parameter]:
    return [p for name, p in model.named_parameters() if name.startswith(("head", "classifier"))]


def rest_of(model: nn.Module) -> list[nn.Parameter]:
    return [p for name, p in model.named_parameters() if not name.startswith(("head", "classifier"))]


MAKE: dict[str, Callable[[nn.Module], Optimizer]] = {
    "SGD with momentum": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda m: Adam(m.parameters(), lr=1e-2),
    "AdamW, amsgrad": lambda m: AdamW(m.parameters(), lr=1e-2, amsgrad=True),
    "by name": lambda m: AdamW(m.named_parameters(), lr=1e-2),
    "head last": lambda m: SGD([{"params": rest_of(m), "lr": 0.01}, {"params": head_of(m)}], lr=0.1, momentum=0.9),
    "head first": lambda m: AdamW([{"params": head_of(m), "lr": 0.1, "weight_decay": 0.0}, {"params": rest_of(m)}]),
    "no decay for vectors": lambda m: AdamW(
        [
            {"params": [p for p in m.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in m.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ]
    ),
}

SURGERY: dict[str, tuple[list[Any], Callable[[], nn.Module], Callable[[str], str | None]]] = {
    "replace the head": (
        [{"replace_layer": "head -> Linear(old.in_features, 3)"}],
        lambda: Net(3),
        lambda name: None if name.startswith("head") else name,
    ),
    "drop a layer": (
        [{"replace_layer": "neck -> Identity()"}],
        lambda: Net(neck=False),
        lambda name: name,
    ),
    "freeze": (
        [{"freeze": "features"}],
        lambda: Net(),
        lambda name: name,
    ),
}


def train(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
    for step in range(steps):
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


@pytest.fixture
def trained() -> Callable[..., tuple[nn.Module, Optimizer]]:
    def run(make: Callable[[nn.Module], Optimizer]) -> tuple[nn.Module, Optimizer]:
        model = Net()
        optimizer = make(model)
        train(model, optimizer, 3)
        checkpoint = {
            "epoch": 3,
            "loss": torch.tensor(0.25),
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
        }
        torch.save(checkpoint, "run.pth")
        return model, optimizer

    return run


def resumed(steps: list[Any], start: nn.Module) -> dict[str, Any]:
    """What a recipe makes of ``run.pth``, with the model of the checkpoint's own class."""
    load = {"from": {"checkpoint": {"path": "run.pth", "entry": "model_state_dict"}}}
    recipe = {"steps": [{"load": load}, *steps], "output": {"path": "resumed.pth", "container": "keep"}}
    surgery.load(recipe).run(model=start)
    return torch.load("resumed.pth", weights_only=True)


def goes_on_as_by_hand(
    checkpoint: dict[str, Any], old: tuple[nn.Module, Optimizer], model: nn.Module, make: Any, name_before: Any
) -> None:
    """Load as a training script does; beside it move the state over by hand; both train alike, bit for bit."""
    model.load_state_dict(checkpoint["model_state_dict"])
    by_hand = copy.deepcopy(model)
    optimizer = make(model)
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    expected = make(by_hand)
    old_parameters, old_optimizer = dict(old[0].named_parameters()), old[1]
    for name, parameter in by_hand.named_parameters():
        before = name_before(name)
        if before is not None:
            expected.state[parameter] = copy.deepcopy(old_optimizer.state[old_parameters[before]])
    equal(model, optimizer, by_hand, expected)
    train(model, optimizer, 2)
    train(by_hand, expected, 2)
    equal(model, optimizer, by_hand, expected)


def equal(model: nn.Module, optimizer: Optimizer, other: nn.Module, expected: Optimizer) -> None:
    options = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    assert options == [{k: v for k, v in group.items() if k != "params"} for group in expected.param_groups]
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name
        state, wanted = optimizer.state[one], expected.state[two]
        assert state.keys() == wanted.keys(), name
        assert all(torch.equal(torch.as_tensor(state[k]), torch.as_tensor(wanted[k])) for k in wanted), name


@pytest.mark.parametrize("surgeon", SURGERY.values(), ids=SURGERY)
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_training_goes_on_as_by_hand(make, surgeon, trained) -> None:
    old = trained(make)
    steps, new_model, name_before = surgeon
    checkpoint = resumed(steps, Net())
    assert (checkpoint["epoch"], checkpoint["loss"].item()) == (3, 0.25)
    goes_on_as_by_hand(checkpoint, old, new_model(), make, name_before)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_into_a_model_that_has_another_order(make, trained) -> None:
    """By number alone, each parameter would get the momentum of another one."""
    old = trained(make)
    load = {
        "from": {"checkpoint": {"path": "run.pth", "entry": "model_state_dict"}},
        "steps": [{"rename": "features -> body, head -> classifier"}],
    }
    recipe = {"steps": [{"load": load}], "output": {"path": "resumed.pth", "container": "keep"}}
    surgery.load(recipe).run(model=Swapped())
    checkpoint = torch.load("resumed.pth", weights_only=True)
    goes_on_as_by_hand(
        checkpoint, old, Swapped(), make, lambda n: n.replace("body", "features").replace("classifier", "head")
    )


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_the_encoder_alone(make, trained) -> None:
    old = trained(make)
    checkpoint = resumed([{"extract": "features"}], Net())
    model = Net().features
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer = make(model)
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    before = dict(old[0].features.named_parameters())
    for name, parameter in model.named_parameters():
        state, wanted = optimizer.state[parameter], old[1].state[before[name]]
        assert all(torch.equal(torch.as_tensor(state[k]), torch.as_tensor(wanted[k])) for k in wanted)


def test_frozen_parameters_that_the_optimizer_never_had(trained) -> None:
    def make(model: nn.Module) -> Optimizer:
        for parameter in model.features.parameters():
            parameter.requires_grad_(False)
        return SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)

    old = trained(make)
    checkpoint = resumed([{"replace_layer": "head -> Linear(old.in_features, 3)"}], Net())
    trainable = [0, 1, 2, 3]
    assert checkpoint["optimizer_state_dict"]["param_groups"][0]["params"] == trainable
    model = Net(3)
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer = make(model)
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    kept = optimizer.state[model.neck.weight]["momentum_buffer"]
    assert torch.equal(kept, old[1].state[old[0].neck.weight]["momentum_buffer"])
    assert not optimizer.state[model.head.weight]
    train(model, optimizer, 1)


def test_the_shipped_recipe() -> None:
    net = nn.DataParallel(resnet18(num_classes=1000))
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.module(torch.randn(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 5, "model_state_dict": net.state_dict(), "optimizer_state_dict": optimizer.state_dict()}
    torch.save(checkpoint, "run.pth")
    surgery.run("resume_training", checkpoint="run.pth", output="resume.tar")
    found = torch.load("resume.tar", weights_only=True)
    model = resnet18()
    model.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(512, 10))
    model.load_state_dict(found["model_state_dict"])
    again = SGD(model.parameters(), lr=0.1, momentum=0.9)
    again.load_state_dict(found["optimizer_state_dict"])
    for (name, parameter), before in zip(model.named_parameters(), net.parameters(), strict=True):
        if not name.startswith("fc"):
            assert torch.equal(parameter, before)
            assert torch.equal(again.state[parameter]["momentum_buffer"], optimizer.state[before]["momentum_buffer"])
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    again.step()
