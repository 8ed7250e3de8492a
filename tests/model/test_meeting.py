"""Where tensors of two devices would meet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import surgery
from surgery.model.meeting import meetings
from surgery.model.skeleton import Skeleton


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.norm = nn.LayerNorm(4)
        self.seen: Any = None

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        size = self.a(x).size(0)
        return self.norm(x + self.scale * self.b(torch.relu(self.a(x))).reshape(size, -1))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"blocks": nn.Sequential(Block(), Block())})["blocks"])


def found(module: nn.Module, **devices: str) -> list[str]:
    """What meets, where keys that begin with a name are on a device, and the others on the CPU."""
    skeleton = Skeleton(module)
    places = {
        slot.key: next((d for name, d in devices.items() if slot.key.startswith(name.replace("_", "."))), "cpu")
        for slot in skeleton.slots()
    }
    return [str(meeting) for meeting in meetings(skeleton, places)]


def test_whole_blocks_on_several_devices_are_fine() -> None:
    assert found(net(), **{"1_0": "cuda:0", "1_1": "cuda:1"}) == []


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("1_1_b", ["`1.1` (Block) computes with `1.1.scale` on cpu and `1.1.b` on cuda:0"]),
        ("1_1_scale", ["`1.1` (Block) computes with `1.1.scale` on cuda:0 and `1.1.b` on cpu"]),
        # its input is moved, and it is the last that computes: sizes are no tensors
        ("1_1_norm", []),
        ("1_0_a", []),
    ],
)
def test_a_block_that_is_split(split: str, said: list[str]) -> None:
    assert found(net(), **{split: "cuda:0"}) == said


def test_the_model_is_left_alone() -> None:
    module = net()
    state = torch.get_rng_state()
    found(module, **{"1_1_b": "cuda:0"})
    assert module[1][1].seen is None
    assert torch.equal(torch.get_rng_state(), state)


class Loops(nn.Module):
    """Its `forward` cannot be followed."""

    _no_split_modules = ("Whole",)

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(int(x.sum())):
            x = self.inner(x)
        return x


class Whole(Loops):
    pass


def test_a_forward_that_cannot_be_followed() -> None:
    assert found(Loops(net()), **{"inner_1_1_b": "cuda:0"}) == [
        "`inner.1.1` (Block) computes with `inner.1.1.scale` on cpu and `inner.1.1.b` on cuda:0"
    ]
    assert found(Loops(Whole(net())), **{"inner_inner_1_1_b": "cuda:0"}) == [
        "`inner` (Whole) is split, and its model says that it is not to be"
    ]


@pytest.mark.parametrize(
    ("name", "block", "part"),
    [
        ("resnet18", "BasicBlock", 0.5),
        ("densenet121", "_DenseBlock", 0.61),
        ("convnext_tiny", "CNBlock", 0.61),
        ("vit_b_16", "EncoderBlock", 0.61),
        ("retinanet_resnet50_fpn", "Bottleneck", 0.61),
    ],
)
def test_policies_warn_where_they_split_a_block(name: str, block: str, part: float) -> None:
    backbone = {"kwargs": {"weights_backbone": None}} if "retina" in name else {}
    source = {"torchvision": name, "weights": None, **backbone}
    size = sum(e.spec.nbytes for e in surgery.load({"source": source}).plan().subject.entries.values())
    step = {"policy": "sequential", "max_memory": {0: int(size * part), 1: int(size * 0.7), "cpu": "4GB"}}
    (warning,) = surgery.load({"source": source, "steps": [{"device_map": step}]}).plan().warnings
    assert (warning.code, f"({block}) computes with" in warning.message) == ("device", True)
    step["no_split"] = [block]
    assert surgery.load({"source": source, "steps": [{"device_map": step}]}).plan().warnings == ()


def test_policies_keep_what_a_model_says_is_not_to_be_split() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        num_hidden_layers=4, hidden_size=32, num_attention_heads=4, intermediate_size=64, vocab_size=100
    )
    model = transformers.BertModel(config)
    for room in range(40_000, 140_000, 10_000):
        step = {"policy": "sequential", "max_memory": {"cuda:0": room, "cpu": "1MB"}}
        plan = surgery.load([{"device_map": step}]).plan(model=model)
        assert plan.warnings == ()
        for layer in range(4):
            prefix = f"encoder.layer.{layer}."
            assert len({e.device for key, e in plan.subject.entries.items() if key.startswith(prefix)}) == 1
    (warning,) = surgery.load([{"device_map": "**.layer.0.output -> cuda:0, ** -> cpu"}]).plan(model=model).warnings
    assert warning.message == "`encoder.layer.0` (BertLayer) is split, and its model says that it is not to be"


def test_attention_of_torch_stays_whole() -> None:
    model = nn.Sequential(*(nn.MultiheadAttention(64, 2) for _ in range(4)))
    step = {"policy": "sequential", "max_memory": {"cuda:0": "145KB", "cuda:1": "1MB"}}
    plan = surgery.load([{"device_map": step}]).plan(model=model)
    assert {len({e.device for k, e in plan.subject.entries.items() if k.startswith(f"{i}.")}) for i in range(4)} == {1}
    with pytest.raises(surgery.SurgeryError, match="`0`, a MultiheadAttention, would be on cpu and cuda:0"):
        surgery.load([{"device_map": "0.out_proj -> cuda:0, ** -> cpu"}]).plan(model=model)
