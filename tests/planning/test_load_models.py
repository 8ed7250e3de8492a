"""Loading into models: what torch's own `load_state_dict` does, and what it does not do."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import surgery


@pytest.fixture
def load(tmp_path):
    """A model with a state dict loaded, by way of a file."""

    def run(model: nn.Module, state: dict, **options: object) -> nn.Module:
        torch.save(state, tmp_path / "in.pth")
        recipe = {"steps": [{"load": {"from": {"checkpoint": str(tmp_path / "in.pth")}, **options}}]}
        return surgery.run(recipe, model=model).model

    return run


def same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_old_names_of_weight_normalisation(load):
    old = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    new = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    loaded = load(new, old.state_dict())
    reference = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    reference.load_state_dict(old.state_dict())
    assert same(loaded, reference)
    values = torch.randn(5, 3)
    assert torch.equal(loaded(values), reference(values))


def test_other_modules_with_such_names_are_strict(load):
    model = nn.Linear(3, 4)
    with pytest.raises(surgery.SurgeryError, match="weight_g"):
        load(model, {"weight_g": torch.ones(4, 1), "weight_v": torch.ones(4, 3), "bias": torch.ones(4)})


def test_counters_that_older_torch_did_not_write(load):
    state = {key: t for key, t in nn.BatchNorm1d(3).state_dict().items() if key != "num_batches_tracked"}
    state["running_mean"] = torch.full((3,), 2.0)
    loaded = load(nn.BatchNorm1d(3), state)
    assert loaded.num_batches_tracked.item() == 0
    assert loaded.num_batches_tracked.dtype == torch.int64
    assert torch.equal(loaded.running_mean, state["running_mean"])


def test_a_tied_model_from_one_name(load):
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    loaded = load(model, {"embed.weight": torch.randn(5, 3)})
    assert loaded["head"].weight is loaded["embed"].weight
    assert not torch.equal(loaded["head"].weight, model["head"].weight), "what was given is not changed"


def test_types_select_what_may_be_missing(load):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    state = {key: t for key, t in model.state_dict().items() if key.startswith("0")}
    loaded = load(model, state, missing="**[BatchNorm1d]")
    assert same(loaded, model)


def test_types_below_a_module(load):
    model = nn.ModuleDict({"net": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))})
    state = {key: torch.zeros_like(t) for key, t in model["net"][0].state_dict(prefix="0.").items()}
    loaded = load(model, state, into="net", missing="**[BatchNorm1d]")
    assert loaded["net"][0].weight.abs().sum() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_exact_cast_keeps_every_value(dtype, load):
    model = nn.Linear(3, 4)
    state = {key: t.to(dtype) for key, t in model.state_dict().items()}
    loaded = load(model, state)
    assert loaded.weight.dtype == torch.float32
    assert torch.equal(loaded.weight, state["weight"].float())


def test_a_cast_that_rounds_is_refused_and_can_be_asked_for(load):
    model, state = nn.Linear(3, 4).half(), nn.Linear(3, 4).state_dict()
    with pytest.raises(surgery.SurgeryError, match="float16 does not hold every float32 value"):
        load(model, state)
    loaded = load(model, state, steps=[{"cast": "** if dtype == float32 -> float16"}])
    assert torch.equal(loaded.weight, state["weight"].half())
