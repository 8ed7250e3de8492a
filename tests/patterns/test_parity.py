"""Pattern 13: outputs against a reference; beside it, hooks written by hand that find the first module that differs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

import surgery


def first_by_hand(model: nn.Module, reference: nn.Module, x: torch.Tensor, tolerance: float) -> str | None:
    """The first module, in the order in which they finish, whose output differs by more than the tolerance."""

    def outputs(net: nn.Module) -> list[tuple[str, torch.Tensor]]:
        seen: list[tuple[str, torch.Tensor]] = []
        for path, module in net.named_modules():
            module.register_forward_hook(lambda _m, _i, out, path=path: seen.append((path, out.detach().clone())))
        with torch.no_grad():
            net.eval()(x)
        return seen

    for (path, one), (_, two) in zip(outputs(model), outputs(reference), strict=True):
        if (one - two).abs().max() > tolerance * two.abs().max():
            return path
    return None


def parity(name: str, weights: str, shape: list[int], **options: Any) -> dict[str, Any]:
    return {"parity": {"like": {"torchvision": name, "weights": weights}, "input": shape, **options}}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("resnet18", "layer3.1.conv1.weight"),
        ("resnet18", "layer2.0.downsample.1.running_mean"),
        ("squeezenet1_1", "features.6.expand3x3.bias"),
        ("mobilenet_v3_small", "features.4.block.1.0.weight"),
        ("densenet121", "features.denseblock2.denselayer3.conv2.weight"),
    ],
)
def test_the_first_module_that_differs(name: str, key: str) -> None:
    reference = models.get_model_builder(name)()
    torch.save(reference.state_dict(), "right.pth")
    wrong = models.get_model_builder(name)()
    state = {k: v.clone() for k, v in reference.state_dict().items()}
    state[key] += 0.3
    wrong.load_state_dict(state)
    torch.save(state, "converted.pth")
    recipe = {
        "source": {"torchvision": name, "weights": "converted.pth"},
        "expect": parity(name, "right.pth", [1, 3, 96, 96]),
        "output": "out.pth",
    }
    with pytest.raises(surgery.SurgeryError) as caught:
        surgery.run(recipe)
    x = torch.randn(1, 3, 96, 96)
    named = re.search(r"`([\w.]+)` is the first module that differs", str(caught.value))
    assert named is not None
    assert named[1] == first_by_hand(wrong, reference, x, 1e-5) == key.rpartition(".")[0]


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "vgg11_bn"])
def test_a_right_conversion_passes(name: str) -> None:
    """Under other names, and back."""
    reference = models.get_model_builder(name)(num_classes=10)
    torch.save(reference.state_dict(), "right.pth")
    torch.save({f"module.{key}": tensor for key, tensor in reference.state_dict().items()}, "theirs.pth")
    like = {"torchvision": name, "weights": "right.pth", "kwargs": {"num_classes": 10}}
    expect = {"like": like, "parity": {"like": like, "input": [2, 3, 64, 64]}}
    recipe = {
        "source": {"checkpoint": "theirs.pth"},
        "steps": [{"unwrap": True}],
        "expect": expect,
        "output": "out.pth",
    }
    surgery.run(recipe)
    model = models.get_model_builder(name)(num_classes=10)
    model.load_state_dict(torch.load("out.pth", weights_only=True))
    assert first_by_hand(model, reference, torch.randn(2, 3, 64, 64), 1e-5) is None
