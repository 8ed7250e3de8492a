"""Pattern 4: several models and optimizers in one file."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer

import surgery

State = dict[str, torch.Tensor]


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()
        self.decoder = decoder()


def encoder() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))


def decoder(outputs: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, outputs))


@pytest.fixture
def saved() -> tuple[nn.Module, nn.Module, Optimizer, Optimizer]:
    """``run.pth``, as the tutorial on several models writes it."""
    one, two = encoder(), decoder()
    adam, sgd = Adam(one.parameters()), SGD(two.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        two(one(torch.randn(5, 4))).square().sum().backward()
        adam.step()
        sgd.step()
    parts = {
        "modelA_state_dict": one.state_dict(),
        "modelB_state_dict": two.state_dict(),
        "optimizerA_state_dict": adam.state_dict(),
        "optimizerB_state_dict": sgd.state_dict(),
        "loss": 0.5,
    }
    torch.save(parts, "run.pth")
    return one, two, adam, sgd


def place(letter: str) -> dict[str, object]:
    return {"checkpoint": {"path": "run.pth", "entry": f"model{letter}_state_dict"}}


def test_one_is_picked(saved, same) -> None:
    same(surgery.run({"source": place("B")}).state_dict, saved[1].state_dict())


def test_which_one_has_to_be_said(saved) -> None:
    with pytest.raises(surgery.SurgeryError, match=r"holds 2 state dicts(.|\n)*modelA_state_dict"):
        surgery.run({"source": {"checkpoint": "run.pth"}})


def test_one_is_operated_on_and_the_others_stay(saved, same) -> None:
    steps = [{"replace_layer": "2 -> Linear(8, 3)"}]
    surgery.run({"source": place("B"), "steps": steps, "output": {"path": "new.pth", "container": "keep"}})
    before, after = (torch.load(name, weights_only=True) for name in ("run.pth", "new.pth"))
    assert list(before) == list(after)
    assert after["loss"] == 0.5
    same(after["modelA_state_dict"], before["modelA_state_dict"])
    assert after["optimizerA_state_dict"]["param_groups"] == before["optimizerA_state_dict"]["param_groups"]
    for number, state in before["optimizerA_state_dict"]["state"].items():
        same(after["optimizerA_state_dict"]["state"][number], state)
    model = decoder(3)
    model.load_state_dict(after["modelB_state_dict"])
    assert torch.equal(model[0].weight, saved[1][0].weight)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.load_state_dict(after["optimizerB_state_dict"])
    momentum = saved[3].state[saved[1][0].weight]["momentum_buffer"]
    assert torch.equal(optimizer.state[model[0].weight]["momentum_buffer"], momentum)
    assert not optimizer.state[model[2].weight]
    model(torch.randn(2, 8)).sum().backward()
    optimizer.step()


def test_two_are_combined(saved, same) -> None:
    expected = {f"encoder.{key}": tensor for key, tensor in saved[0].state_dict().items()}
    expected |= {f"decoder.{key}": tensor for key, tensor in saved[1].state_dict().items()}
    recipe = {"sources": {"encoder": place("A"), "decoder": place("B")}, "output": "both.pth"}
    surgery.run(recipe)
    same(torch.load("both.pth", weights_only=True), expected)
    Both().load_state_dict(torch.load("both.pth", weights_only=True))


def test_two_are_loaded_into_the_parts_of_a_model(saved, same) -> None:
    by_hand = Both()
    by_hand.encoder.load_state_dict(saved[0].state_dict())
    by_hand.decoder.load_state_dict(saved[1].state_dict())
    steps = [{"load": {"from": place("A"), "into": "encoder"}}, {"load": {"from": place("B"), "into": "decoder"}}]
    same(surgery.load({"steps": steps}).run(model=Both()).model.state_dict(), by_hand.state_dict())


def test_everything_as_one_tree(saved) -> None:
    source = {"checkpoint": {"path": "run.pth", "entry": "."}}
    found = surgery.run({"source": source, "steps": [{"filter": {"keep": "modelA_state_dict | modelB_state_dict"}}]})
    assert torch.equal(found.state_dict["modelB_state_dict.0.weight"], saved[1][0].weight)
