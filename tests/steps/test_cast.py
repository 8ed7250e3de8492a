"""``cast``: which tensors, to which dtype, and what is lost."""

import pytest
import torch
from torch import nn

import surgery

STATE = {
    "a.norm.weight": torch.ones(2),
    "a.fc.weight": torch.randn(2, 2),
    "steps": torch.tensor(7),
    "mask": torch.tensor([True, False]),
}


def dtypes(state: dict[str, torch.Tensor]) -> list[torch.dtype]:
    return [tensor.dtype for tensor in state.values()]


def test_the_first_rule_wins_and_integers_are_left_alone() -> None:
    found = surgery.cast(STATE, "**.norm* -> float32, ** -> bfloat16")
    assert dtypes(found) == [torch.float32, torch.bfloat16, torch.int64, torch.bool]
    assert torch.equal(found["a.fc.weight"], STATE["a.fc.weight"].bfloat16())


def test_integers_are_cast_where_the_guard_names_them() -> None:
    assert surgery.cast(STATE, "** if dtype == int64 -> int32")["steps"].dtype == torch.int32


def test_overflow_is_an_error() -> None:
    with pytest.raises(surgery.SurgeryError, match=r"`w`.*|1000000"):
        surgery.cast({"w": torch.tensor([1e6])}, "w -> float16")


def test_an_unknown_dtype_has_a_suggestion() -> None:
    with pytest.raises(surgery.SurgeryError, match="did you mean `bfloat16`"):
        surgery.cast(STATE, "** -> bfloat15")


def test_ties_stay() -> None:
    weight = torch.randn(3)
    found = surgery.cast({"embed": weight, "head": weight}, "** -> float16")
    assert found["embed"] is found["head"]


def test_breaking_a_tie_is_remarked() -> None:
    weight = torch.randn(3)
    recipe = {"steps": [{"cast": "embed -> float16, head -> float64"}]}
    result = surgery.run(recipe, state_dict={"embed": weight, "head": weight})
    assert result.plan.remarks == ("embed and head were tied, and are cast to different dtypes",)


def test_a_model_stays_a_model() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    half = surgery.cast(model, "** -> bfloat16")
    assert half[0].weight.dtype == torch.bfloat16
    assert half[1].num_batches_tracked.dtype == torch.int64
    assert model[0].weight.dtype == torch.float32


def test_sparse_tensors_are_refused_and_quantised_ones_left_alone() -> None:
    state = {"a": torch.eye(2).to_sparse(), "b": torch.ones(2)}
    with pytest.raises(surgery.SurgeryError, match=r"`a` is sparse_coo float32 \[2, 2\], and only"):
        surgery.cast(state, "** -> float16")
    assert surgery.cast(state, "** except a -> float16")["b"].dtype == torch.float16
    quantised = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    assert surgery.cast({"q": quantised, "b": torch.ones(2)}, "** -> float16")["q"].dtype == torch.qint8


def test_buffers_without_a_key_keep_their_dtype_and_that_is_told() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    net[0].register_buffer("table", torch.rand(2), persistent=False)
    plan = surgery.load([{"cast": "** -> bfloat16"}]).plan(model=net)
    assert plan.remarks == ("no part of the state dict, and not cast: `0.table`",)
    assert plan.execute().model[0].table.dtype == torch.float32
    assert surgery.load([{"cast": "** -> float32"}]).plan(model=net).remarks == ()
