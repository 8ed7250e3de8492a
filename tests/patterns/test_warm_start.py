"""Pattern 5: what fits of a pretrained checkpoint goes into a model, and the rest is accounted for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import surgery


def model(classes: int, *, deep: bool = False) -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)] + [nn.Conv2d(8, 8, 1)] * deep
    return nn.ModuleDict({"body": nn.Sequential(*layers), "fc": nn.Linear(8, classes)})


@pytest.fixture
def pretrained() -> dict[str, torch.Tensor]:
    """Of five classes, with a projector, its body under another name."""
    state = {key.replace("body.", "encoder."): tensor for key, tensor in model(5).state_dict().items()}
    state["projector.weight"] = torch.randn(2, 2)
    torch.save(state, "pretrained.pth")
    return state


def warm(net: nn.Module, **load: object) -> surgery.Result:
    recipe = {"steps": [{"load": {"from": {"checkpoint": "pretrained.pth"}, **load}}]}
    return surgery.load(recipe).run(model=net)


def unused(result: surgery.Result) -> set[str]:
    """Keys of the checkpoint that reach no result."""
    origins = [origin for drop in result.plan.drops for origin in drop.origins]
    return {origin.key for origin in origins if origin.source == "pretrained.pth"}


RENAME = [{"rename": "encoder -> body"}]


def test_by_hand(pretrained, same) -> None:
    net = model(3, deep=True)
    ours = warm(net, steps=RENAME, missing="body.3", unexpected="projector", mismatched="fc")
    own = net.state_dict()
    renamed = {key.replace("encoder.", "body."): tensor for key, tensor in pretrained.items()}
    fits = {key: tensor for key, tensor in renamed.items() if key in own and tensor.shape == own[key].shape}
    net.load_state_dict({**own, **fits})
    same(ours.model.state_dict(), net.state_dict())
    assert len(fits) == 9


def test_whatever_fits(pretrained, same) -> None:
    net = model(3, deep=True)
    every = {"missing": "optional **", "unexpected": "optional **", "mismatched": "optional **"}
    ours = warm(net, steps=RENAME, **every)
    strict = warm(net, steps=RENAME, missing="body.3", unexpected="projector", mismatched="fc")
    same(ours.model.state_dict(), strict.model.state_dict())


def test_that_nothing_fits_is_an_error(pretrained) -> None:
    """By hand nobody hears of it."""
    every = {"missing": "optional **", "unexpected": "optional **", "mismatched": "optional **"}
    with pytest.raises(surgery.SurgeryError, match="nothing of the checkpoint is loaded"):
        warm(model(3, deep=True), **every)


def test_the_keys_of_the_model_are_a_filter(pretrained) -> None:
    """By hand: `{k: v for k, v in pretrained.items() if k in own}`."""
    own = {key.replace("body.", "encoder."): tensor for key, tensor in model(5).state_dict().items()}
    found = surgery.load(
        {
            "steps": [{"load": {"from": {"checkpoint": "pretrained.pth"}, "unexpected": "optional **"}}],
        }
    ).run(state_dict=own)
    by_hand = {key: tensor for key, tensor in pretrained.items() if key in own}
    assert found.state_dict.keys() == by_hand.keys()
    assert all(torch.equal(tensor, by_hand[key]) for key, tensor in found.state_dict.items())


def test_the_report_says_what_came_from_where(pretrained) -> None:
    result = warm(model(3, deep=True), steps=RENAME, missing="body.3", unexpected="projector", mismatched="fc")
    assert unused(result) == {"projector.weight", "fc.weight", "fc.bias"}
    came = {key: [o.key for o in entry.origins] for key, entry in result.plan.subject.entries.items()}
    assert came["body.0.weight"] == ["encoder.0.weight"]
    report = str(result.plan)
    for words in ("projector", "fc", "encoder -> body"):
        assert words in report


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        ({"unexpected": "projector", "mismatched": "fc"}, r"body.3.weight"),
        ({"missing": "body.3", "mismatched": "fc"}, r"projector.weight"),
        ({"missing": "body.3", "unexpected": "projector"}, r"\[5, 8\]"),
        ({"missing": "body.3 | body.0", "unexpected": "projector", "mismatched": "fc"}, "body.0"),
    ],
)
def test_nothing_is_silent(allowed, words, pretrained) -> None:
    with pytest.raises(surgery.SurgeryError, match=words):
        warm(model(3, deep=True), steps=RENAME, **allowed)
