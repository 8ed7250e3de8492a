"""What the state dict of a model has beyond its parameters and buffers is not lost in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

import surgery
from surgery.model.beyond import beyond
from surgery.model.skeleton import Skeleton


class Counting(nn.Linear):
    steps = 3

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


class Packed(nn.Linear):
    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}scale"] = torch.ones(())


@pytest.fixture
def net() -> nn.Sequential:
    net = nn.Sequential(Counting(4, 4), nn.Sequential(Packed(4, 4)), nn.BatchNorm1d(4))
    net[0].steps = 9
    return net


@pytest.mark.filterwarnings("ignore")
def test_it_is_what_torch_has(net: nn.Sequential) -> None:
    quantised = models.quantization.mobilenet_v2(weights=None, quantize=True)
    for module in (net, quantised, models.resnet18()):
        skeleton = Skeleton(module)
        own = {slot.key for slot in skeleton.slots()}
        assert sorted(beyond(skeleton)) == sorted(key for key in module.state_dict() if key not in own)


def test_a_model_keeps_it_and_a_file_of_tensors_cannot(net: nn.Sequential, tmp_path: Path) -> None:
    model = surgery.load([{"freeze": "0.bias"}]).run(model=net).model
    assert model.state_dict()["0._extra_state"] == {"steps": 9}
    assert "1.0.scale" in model.state_dict()
    for name in ("out.pt", "out.safetensors"):
        with pytest.raises(surgery.SurgeryError, match=r"also has `0._extra_state`, `1.0.scale`, held by no parameter"):
            surgery.load({"steps": [{"mode": "eval"}], "output": str(tmp_path / name)}).run(model=net)
    steps = [{"replace_layer": "0 -> Linear(4, 4), 1 -> Identity()"}]
    surgery.load({"steps": steps, "output": str(tmp_path / "out.pt")}).run(model=net)


def test_extra_state_that_came_from_a_file_goes_back(net: nn.Sequential, tmp_path: Path) -> None:
    net = nn.Sequential(net[0])
    torch.save(net.state_dict(), tmp_path / "net.pt")
    steps = [{"load": {"from": {"checkpoint": str(tmp_path / "net.pt")}}}]
    surgery.load({"steps": steps, "output": str(tmp_path / "out.pt")}).run(model=nn.Sequential(Counting(4, 4)))
    assert torch.load(tmp_path / "out.pt")["0._extra_state"] == {"steps": 9}


class Scaled(nn.Linear):
    state: Any = None

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


def test_tensors_in_extra_state_are_read(tmp_path: Path) -> None:
    net = nn.Sequential(Scaled(4, 4))
    net[0].state = {"amax": torch.arange(3.0), "history": [1, (2, torch.ones(2))], "blob": bytes(100_000)}
    torch.save(net.state_dict(), tmp_path / "net.pt")
    recipe: Any = {"steps": [{"load": {"from": {"checkpoint": str(tmp_path / "net.pt")}}}]}
    state = surgery.load(recipe).run(model=nn.Sequential(Scaled(4, 4))).model[0].state
    assert torch.equal(state["amax"], torch.arange(3.0))
    assert torch.equal(state["history"][1][1], torch.ones(2))
    assert state["blob"] == bytes(100_000)
    with pytest.raises(surgery.SurgeryError, match=r"`0._extra_state` holds more than plain values"):
        surgery.load({**recipe, "output": {"path": str(tmp_path / "m.pt"), "format": "module"}}).run(model=net)
    net[0].state = torch.optim.SGD([torch.ones(1)])
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(surgery.SurgeryError, match=r"`0._extra_state` holds an object that is not made here"):
        _ = surgery.load(recipe).run(model=nn.Sequential(Scaled(4, 4))).model


def test_a_step_that_makes_a_state_dict_says_what_stays_behind(net: nn.Sequential) -> None:
    plan = surgery.load([{"rename": "1.0 -> last"}]).plan(model=net)
    assert plan.remarks == (
        "held by no parameter or buffer, and left behind with the model: `0._extra_state`, `1.0.scale`",
    )
