"""Pattern 9: only the architecture, only a submodule, own checkpoints into torchvision's models."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

import surgery


@pytest.mark.parametrize(
    ("name", "path"), [("vgg11", "features"), ("resnet18", "layer2.0"), ("squeezenet1_1", "features.3")]
)
def test_a_submodule_as_a_ready_module(name, path, shaken, same) -> None:
    model = shaken(models.get_model_builder(name)())
    torch.save(model.state_dict(), "model.pth")
    source = {"torchvision": name, "weights": "model.pth"}
    part = surgery.run({"source": source, "steps": [{"extract": path}, {"mode": "eval"}]}).model
    expected = model.get_submodule(path)
    assert str(part) == str(expected)
    same(part.state_dict(), expected.state_dict())
    channels = next(module for module in expected.modules() if isinstance(module, nn.Conv2d)).in_channels
    x = torch.rand(1, channels, 32, 32)
    with torch.no_grad():
        assert torch.equal(part(x), expected(x))


def test_a_submodule_as_a_checkpoint(shaken, same) -> None:
    model = shaken(models.resnet18())
    torch.save(model.state_dict(), "model.pth")
    steps = [{"extract": "layer4"}]
    surgery.run({"source": {"checkpoint": "model.pth"}, "steps": steps, "output": "layer4.safetensors"})
    source = {"checkpoint": "layer4.safetensors"}
    prefix = "layer4."
    by_hand = {k.removeprefix(prefix): v for k, v in model.state_dict().items() if k.startswith(prefix)}
    found = surgery.run({"source": source}).state_dict
    assert found.keys() == by_hand.keys()
    model.layer4.load_state_dict(found)
    same({key: found[key] for key in by_hand}, by_hand)


def test_only_the_architecture() -> None:
    source = {"torchvision": "resnet18", "weights": None, "kwargs": {"num_classes": 10}}
    model = surgery.run({"source": source}).model
    expected = models.resnet18(num_classes=10)
    assert str(model) == str(expected)
    shapes = {key: tensor.shape for key, tensor in expected.state_dict().items()}
    assert {key: tensor.shape for key, tensor in model.state_dict().items()} == shapes
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    assert all(p.requires_grad for p in model.parameters())
    assert model.training


def test_a_checkpoint_of_ones_own(shaken, same) -> None:
    """Trained under DataParallel, with another name for the head, and other classes than are wanted."""
    trained = shaken(models.resnet18(num_classes=5))
    state = {f"module.{key.replace('fc.', 'head.')}": tensor for key, tensor in trained.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, "own.pth")
    steps = [
        {
            "load": {
                "from": {"checkpoint": "own.pth"},
                "steps": [{"unwrap": True}, {"rename": "head -> fc"}],
                "mismatched": "fc",
            }
        }
    ]
    source = {"torchvision": "resnet18", "weights": None, "kwargs": {"num_classes": 7}}
    ours = surgery.run({"source": source, "steps": steps}).model
    plain = models.resnet18(num_classes=7)
    loaded = torch.load("own.pth", weights_only=True)["state_dict"]
    loaded = {key.removeprefix("module.").replace("head.", "fc."): tensor for key, tensor in loaded.items()}
    own = plain.state_dict()
    plain.load_state_dict({**own, **{k: v for k, v in loaded.items() if v.shape == own[k].shape}})
    plain.fc.load_state_dict(ours.fc.state_dict())
    same(ours.state_dict(), plain.state_dict())
