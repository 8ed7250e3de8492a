"""Models that the caller holds: never changed, whatever they are made of."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import surgery
from surgery.diagnostics import SurgeryError
from surgery.model.given import subject_of_module
from surgery.planning.context import Context
from surgery.tensors.subject import Subject

Finished = Callable[[Subject], nn.Module]


def same_outputs(one: nn.Module, other: nn.Module, *inputs: torch.Tensor) -> bool:
    one.eval()
    other.eval()
    with torch.no_grad():
        return torch.equal(one(*inputs), other(*inputs))


def test_a_round_trip_is_the_model(small: nn.Module, finished: Finished) -> None:
    model = finished(subject_of_module(small, "model", Context()))
    assert list(model.state_dict()) == list(small.state_dict())
    assert model.head.weight is model.embed.weight
    assert model.act is model.again
    assert same_outputs(model, small, torch.rand(2, 3, 8, 8))


def test_nothing_is_shared_and_nothing_is_changed(small: nn.Module, finished: Finished) -> None:
    before = copy.deepcopy(small.state_dict())
    objects = [id(p) for p in small.parameters()]
    small.conv1.weight.grad = torch.ones_like(small.conv1.weight)
    model = finished(subject_of_module(small, "model", Context()))
    storages = {p.untyped_storage().data_ptr() for p in (*small.parameters(), *small.buffers(), small.anchors)}
    for tensor in (*model.parameters(), *model.buffers(), model.anchors):
        assert tensor.untyped_storage().data_ptr() not in storages
        tensor.data.fill_(7)
    assert [id(p) for p in small.parameters()] == objects
    assert all(torch.equal(small.state_dict()[key], value) for key, value in before.items())
    assert small.conv1.weight.grad is not None
    assert model.conv1.weight.grad is None
    assert torch.equal(small.grid, torch.arange(5.0))


def test_two_models_of_one_plan_share_nothing(small: nn.Module) -> None:
    plan = surgery.load({"steps": [{"mode": "eval"}]}).plan(model=small)
    one, other = plan.execute().model, plan.execute().model
    pointers = {t.data_ptr() for t in (*one.parameters(), *one.buffers(), one.anchors)}
    assert not pointers & {t.data_ptr() for t in (*other.parameters(), *other.buffers(), other.anchors)}


def test_hooks_modes_and_requires_grad_are_kept(small: nn.Module, finished: Finished) -> None:
    seen: list[str] = []
    small.fc.register_forward_hook(lambda module, inputs, output: seen.append("fc"))
    small.bn.eval()
    small.fc.bias.requires_grad_(False)
    model = finished(subject_of_module(small, "model", Context()))
    model(torch.rand(2, 3, 8, 8))
    assert seen == ["fc"]
    assert model.training
    assert not model.bn.training
    assert not model.fc.bias.requires_grad


def test_views_of_one_storage_are_one_tensor_only_if_they_are_the_same_view() -> None:
    base = torch.rand(4, 4)
    model = nn.ModuleList([nn.Linear(4, 4, bias=False) for _ in range(3)])
    model[0].weight = nn.Parameter(base)
    model[1].weight = nn.Parameter(base.view(4, 4))
    model[2].weight = nn.Parameter(base.t())
    subject = subject_of_module(model, "model", Context())
    assert subject.ties() == [("0.weight", "1.weight")]


def test_parametrized_modules(finished: Finished) -> None:
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 3)), parametrizations.spectral_norm(nn.Linear(3, 3))
    )
    made = finished(subject_of_module(model, "model", Context()))
    assert list(made.state_dict()) == list(model.state_dict())
    assert same_outputs(made, model, torch.rand(2, 4))
    plan = surgery.load({"steps": [{"replace_layer": "0[Linear] -> Linear(4, 3)"}]}).plan(model=model)
    assert "the parametrization of `weight` in `0` goes with the old layer" in plan.remarks
    assert list(plan.execute().model[0].state_dict()) == ["weight", "bias"]


@pytest.mark.filterwarnings("ignore")
def test_old_weight_norm(finished: Finished) -> None:
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)))
    model(torch.rand(2, 4))
    made = finished(subject_of_module(model, "model", Context()))
    assert same_outputs(made, model, torch.rand(2, 4))


def test_a_lazy_module_stays_lazy(finished: Finished) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.LazyLinear(2))
    subject = subject_of_module(model, "model", Context())
    assert str(subject.entries["1.weight"].spec) == "lazy float32 []"
    made = surgery.replace_layer(model, "0 -> Linear(4, 5)")
    assert made(torch.rand(2, 4)).shape == (2, 2)
    assert made[1].in_features == 5
    assert isinstance(model[1].weight, nn.UninitializedParameter)
    with pytest.raises(SurgeryError, match="has seen no input yet"):
        surgery.replace_layer(model, "1 -> Linear(old.in_features, 3)")


@pytest.mark.filterwarnings("ignore")
def test_quantised_and_sparse_tensors() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model.register_buffer("scales", torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8))
    model.register_buffer("mask", torch.eye(3).to_sparse())
    made = surgery.replace_layer(model, "0 -> Identity()")
    assert made.scales.is_quantized
    assert torch.equal(made.scales.dequantize(), model.scales.dequantize())
    assert made.mask.is_sparse
    kept = surgery.rename(model, "scales -> s, mask -> m")
    assert kept["s"].is_quantized
    assert kept["m"].is_sparse
    with pytest.raises(SurgeryError, match="sparse"):
        surgery.convert(model, "mask -> mask via scale(2)")


def test_a_model_on_meta_is_loaded(small: nn.Module) -> None:
    with torch.device("meta"):
        hollow = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    with pytest.raises(SurgeryError) as caught:
        surgery.mode(hollow, "eval")
    assert caught.value.diagnostics[0].code == "no-values"
    real = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    recipe = surgery.load({"source": {"given": "model"}, "steps": [{"load": {"from": {"given": "state_dict"}}}]})
    made = recipe.run(model=hollow, state_dict=real.state_dict()).model
    assert same_outputs(made, real, torch.rand(2, 3))


def test_a_meta_tensor_that_nothing_can_fill_is_refused() -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("table", torch.empty(3, device="meta"), persistent=False)
    with pytest.raises(SurgeryError, match="`table` is on the meta device"):
        surgery.mode(model, "eval")


def test_what_cannot_be_copied_is_refused() -> None:
    import threading

    model = nn.Linear(2, 2)
    model.lock = threading.Lock()
    with pytest.raises(SurgeryError) as caught:
        surgery.mode(model, "eval")
    assert caught.value.diagnostics[0].code == "unfit-model"


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(SurgeryError, match="neither a model nor a state dict"):
        subject_of_module(3, "model", Context())
    with pytest.raises(SurgeryError, match="TorchScript"):
        subject_of_module(torch.jit.script(nn.Linear(2, 2)), "model", Context())
