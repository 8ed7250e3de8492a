"""Pattern 12: a model class and a checkpoint of one's own, in a training script; sources and layers in Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import surgery
from surgery.cli.main import command

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes=5, width=8):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU())
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(x))


class Gate(nn.Module):
    def __init__(self, inner, start=1.0):
        super().__init__()
        self.inner = inner
        self.gate = nn.Parameter(torch.tensor(start))

    def forward(self, x):
        return self.gate * self.inner(x)
"""

RECIPE = """
params: {checkpoint: {type: path}}
steps:
  - load:
      from: {checkpoint: {path: $checkpoint, entry: model}}
      steps: [{unwrap: true}]
      mismatched: head
  - replace_layer: "head -> mymodels.Gate(old, start=0.5)"
  - freeze: body
"""

SCRIPT = """
import surgery, torch
from torch import nn
from mymodels import Gate, Net


class Mine(Net):  # a class of the script itself
    pass


def by_hand(model, path):
    state = torch.load(path, map_location="cpu", weights_only=True)["model"]
    state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    own = model.state_dict()
    model.load_state_dict({**own, **{k: v for k, v in state.items() if v.shape == own[k].shape}})
    model.head = Gate(model.head, start=0.5)
    for parameter in model.body.parameters():
        parameter.requires_grad_(False)
    return model


torch.manual_seed(0)
my_model = Mine(classes=3)
model = surgery.load("recipe.yaml").run(model=my_model, checkpoint="run.pth", allow=["import:mymodels"]).model
assert type(model) is Mine and type(my_model.head) is nn.Linear
plain = by_hand(my_model, "run.pth")
assert str(model) == str(plain)
assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in plain.parameters()]
for one in (model, plain):
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW([p for p in one.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        one(torch.randn(6, 4)).square().mean().backward()
        optimizer.step()
for key, tensor in plain.state_dict().items():
    assert torch.equal(tensor, model.state_dict()[key]), key
print("alike")
"""


@pytest.fixture
def scene(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (directory / "mymodels.py").write_text(MODEL, encoding="utf-8")
    (directory / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (directory / "script.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.syspath_prepend(str(directory))
    namespace: dict[str, object] = {"__name__": "mymodels"}
    exec(MODEL, namespace)
    state = namespace["Net"]().state_dict()  # type: ignore[operator]
    torch.save({"epoch": 1, "model": {f"module.{key}": tensor for key, tensor in state.items()}}, "run.pth")
    yield directory
    sys.modules.pop("mymodels", None)


def test_the_script_trains_as_by_hand(scene: Path) -> None:
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, cwd=scene)
    assert done.stdout == "alike\n", done.stderr


def test_without_permission_nothing_is_imported(scene: Path) -> None:
    source = {"python": "mymodels:Net", "kwargs": {"classes": 3}}
    with pytest.raises(surgery.SurgeryError, match=r"not-allowed.*mymodels"):
        surgery.run({"source": source})
    assert "mymodels" not in sys.modules


def test_a_class_as_a_source_from_the_command_line(scene: Path, same) -> None:
    recipe = "source: {python: 'mymodels:Net', kwargs: {classes: 5}}\n" + RECIPE.partition("\n  - replace_layer")[0]
    recipe = recipe.replace("      mismatched: head", "") + "\noutput: out.pth\n"
    (scene / "source.yaml").write_text(recipe, encoding="utf-8")
    words = ["run", "source.yaml", "-p", "checkpoint=run.pth", "--allow", "import:mymodels"]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    expected = torch.load("run.pth", weights_only=True)["model"]
    same(torch.load("out.pth", weights_only=True), {k.removeprefix("module."): t for k, t in expected.items()})
