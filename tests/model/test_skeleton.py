"""Skeletons: structure and specifications of the real model, real values where no checkpoint brings any."""

from __future__ import annotations

import threading

import pytest
import torch
import torchvision
from torch import nn

from surgery.diagnostics import SurgeryError
from surgery.limits import limited
from surgery.model.building import build
from surgery.model.skeleton import Skeleton

SAMPLE = ["resnet18", "swin_t", "vit_b_16", "googlenet", "fasterrcnn_mobilenet_v3_large_fpn", "raft_small", "mvit_v1_b"]


def make(name: str) -> nn.Module:
    builder = torchvision.models.get_model_builder(name)
    backbone = {"weights_backbone": None} if "rcnn" in name else {}
    return builder(weights=None, **backbone)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAMPLE)
def test_keys_shapes_and_dtypes_are_those_of_the_real_model(name: str) -> None:
    real, skeleton = make(name), Skeleton.build(lambda: make(name))
    slots = list(skeleton.slots())
    state = real.state_dict()
    assert [slot.key for slot in slots] == list(state)
    for slot in slots:
        there = state[slot.key]
        assert slot.tensor.is_meta
        assert (slot.tensor.shape, slot.tensor.dtype, slot.tensor.stride()) == (
            there.shape,
            there.dtype,
            there.stride(),
        )
    trained = {name: parameter.requires_grad for name, parameter in real.named_parameters(remove_duplicate=False)}
    assert {slot.key: slot.tensor.requires_grad for slot in slots if slot.kind == "parameter"} == trained
    assert str(skeleton.module) == str(real)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["swin_t", "fasterrcnn_mobilenet_v3_large_fpn", "mvit_v1_b"])
def test_what_is_in_no_state_dict_is_real(name: str) -> None:
    real, skeleton = make(name), Skeleton.build(lambda: make(name))
    compared = 0
    for ours, theirs in zip(skeleton.module.modules(), real.modules(), strict=True):
        for attribute, value in vars(theirs).items():
            values = value if isinstance(value, list) else [value]
            found = getattr(ours, attribute)
            for one, other in zip(found if isinstance(value, list) else [found], values, strict=True):
                if isinstance(other, torch.Tensor):
                    assert torch.equal(one, other)
                    compared += 1
        for buffer in theirs._non_persistent_buffers_set:
            assert torch.equal(getattr(ours, buffer), getattr(theirs, buffer))
            compared += 1
    assert compared or name != "fasterrcnn_mobilenet_v3_large_fpn"


def test_the_global_generator_is_not_drawn_from() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Skeleton.build(lambda: nn.Sequential(nn.Linear(100, 100), nn.Embedding(50, 50), nn.TransformerEncoderLayer(8, 2)))
    assert torch.equal(torch.get_rng_state(), before)


def test_ties_and_shared_modules_are_kept() -> None:
    def tied() -> nn.Module:
        shared = nn.Linear(4, 4)
        weight = nn.Parameter(torch.ones(4, 4))
        model = nn.Sequential(shared, shared, nn.Linear(4, 4), nn.Linear(4, 4))
        model[2].weight = weight
        model[3].weight = weight
        return model

    module = Skeleton.build(tied).module
    assert module[0] is module[1]
    assert module[2].weight is module[3].weight
    assert module[2].weight is not module[0].weight


def test_another_thread_builds_as_always() -> None:
    built: list[nn.Module] = []

    def skeleton() -> nn.Module:
        other = threading.Thread(target=lambda: built.append(nn.Linear(3, 3)))
        other.start()
        other.join()
        return nn.Linear(3, 3)

    assert Skeleton.build(skeleton).module.weight.is_meta
    assert not built[0].weight.is_meta
    assert built[0].weight.abs().sum() > 0
    assert not nn.Linear(3, 3).weight.is_meta


def test_a_builder_may_run_a_part_of_itself() -> None:
    def measured() -> nn.Module:
        body = nn.Conv2d(3, 7, 3)
        channels = body(torch.zeros(1, 3, 8, 8)).shape[1]
        return nn.Sequential(body, nn.Conv2d(channels, 2, 1))

    assert Skeleton.build(measured).module[1].in_channels == 7


def test_absurd_sizes_are_refused_before_they_are_allocated() -> None:
    for absurd in (
        lambda: nn.Linear(10**9, 10**9),
        lambda: nn.Sequential(*(nn.Linear(9999, 9999) for _ in range(999))),
    ):
        with limited({"model": "100GB"}), pytest.raises(SurgeryError) as caught:
            build(absurd)
        assert caught.value.diagnostics[0].code == "too-large"


def test_an_edited_copy_leaves_the_original_alone(small: nn.Module) -> None:
    skeleton = Skeleton(small)
    edited = skeleton.edited()
    edited.module.bn.eps = 0.5
    edited.module._modules["fc"] = nn.Identity()
    assert small.bn.eps != 0.5
    assert isinstance(small.fc, nn.Linear)
    assert edited.module.conv1.weight is small.conv1.weight
    assert edited.module.act is edited.module.again


def test_types(small: nn.Module) -> None:
    skeleton = Skeleton(small)
    assert skeleton.is_a("bn", ("BatchNorm2d",))
    assert skeleton.is_a("bn", ("_BatchNorm",)), "bases of what occurs count"
    assert skeleton.is_a("", ("Small",))
    assert skeleton.is_a("fc", ("torch.nn.Linear", "Conv2d"))
    assert not skeleton.is_a("fc", ("Conv2d",))
    assert not skeleton.is_a("fc.weight", ("Linear",))
    with pytest.raises(SurgeryError, match="did you mean `BatchNorm2d`"):
        skeleton.is_a("bn", ("BatchNrm2d",))


def test_a_part_is_a_skeleton(small: nn.Module) -> None:
    assert [slot.key for slot in Skeleton(small).at("fc").slots()] == ["weight", "bias"]
    with pytest.raises(SurgeryError, match="it is a tensor"):
        Skeleton(small).at("fc.weight")


def test_a_module_inside_itself_is_refused() -> None:
    model = nn.Sequential(nn.ReLU())
    model[0].back = model
    with pytest.raises(SurgeryError, match="contains itself"):
        Skeleton(model).module_names()


@pytest.mark.filterwarnings("ignore")
def test_every_model_of_torchvision() -> None:
    from surgery.planning.context import Context
    from surgery.sources.torchvision import Torchvision

    names = torchvision.models.list_models()
    assert len(names) > 100
    for name in names:
        subject = Torchvision(name).open(Context())
        assert [slot.key for slot in subject.skeleton.slots()] == list(subject.entries)
        assert all(slot.tensor.is_meta for slot in subject.skeleton.slots())
        left = [value for m in subject.skeleton.modules.values() for value in vars(m).values()]
        assert not any(isinstance(value, torch.Tensor) and value.is_meta for value in left)
