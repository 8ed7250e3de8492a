"""Values of tests: none is as a fresh layer has it, and all follow from the seed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from surgery.model.drawn import draw_all, drawn
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.scale = nn.Parameter(torch.zeros(8))
        self.head, self.words = nn.Linear(8, 5), nn.Embedding(5, 8)
        self.words.weight = self.head.weight
        self.register_buffer("index", torch.arange(4))


def test_no_tensor_stays_as_it_was_made():
    net, fresh = Net(), Net()
    draw_all(net, 0)
    for key, tensor in net.state_dict().items():
        before = fresh.state_dict()[key]
        if key == "index":
            assert torch.equal(tensor, before), "a table says where things are"
            continue
        assert not torch.equal(tensor, before), key
        assert tensor.unique().numel() == tensor.numel(), f"{key} has values that are alike"
    assert net.words.weight is net.head.weight
    assert (net.bn.running_var > 0).all()


def test_the_same_seed_gives_the_same():
    one, same, other = Net(), Net(), Net()
    for net, seed in ((one, 0), (same, 0), (other, 1)):
        draw_all(net, seed)
    for key, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key])
        assert key == "index" or not torch.equal(tensor, other.state_dict()[key])


def test_torchs_own_generator_is_left_alone():
    net = Net()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    draw_all(net, 0)
    assert torch.equal(torch.rand(1), expected)


def test_a_deep_model_stays_finite():
    from torchvision.models import resnet101

    net = resnet101().eval()
    draw_all(net, 0)
    with torch.inference_mode():
        output = net(torch.randn(1, 3, 64, 64))
    assert output.isfinite().all()
    assert output.std() > 1e-3


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype(name):
    dtype = DTYPES[name]
    for shape in ((), (4,), (2, 3)):
        tensor = drawn("a.weight", Spec(shape, dtype), 0)
        assert (tuple(tensor.shape), str(tensor.dtype)) == (shape, f"torch.{name}")
