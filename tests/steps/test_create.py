"""``create``: values, draws, layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import surgery
from surgery.diagnostics import SurgeryError
from surgery.model.seeds import derived_seed

STATE = {"a": torch.zeros(2)}


def test_values() -> None:
    made = surgery.create(
        STATE,
        """pos.bias -> zeros(1, 768)
        mean     -> tensor([0.485, 0.456, 0.406])
        ids      -> tensor([[1, 2], [3, 4]])
        flags    -> tensor([True, False])
        half     -> ones(3, dtype=float16)
        scale    -> full(0.5, [2, 2])
        number   -> tensor(7)""",
    )
    assert list(made) == ["a", "pos.bias", "mean", "ids", "flags", "half", "scale", "number"]
    assert torch.equal(made["pos.bias"], torch.zeros(1, 768))
    assert torch.equal(made["mean"], torch.tensor([0.485, 0.456, 0.406]))
    assert torch.equal(made["ids"], torch.tensor([[1, 2], [3, 4]]))
    assert torch.equal(made["flags"], torch.tensor([True, False]))
    assert torch.equal(made["half"], torch.ones(3, dtype=torch.float16))
    assert torch.equal(made["scale"], torch.full([2, 2], 0.5))
    assert torch.equal(made["number"], torch.tensor(7))


def test_draws_follow_from_the_seed_and_the_key() -> None:
    made = surgery.create(STATE, "x -> randn(3, 4), y -> randn(3, 4), u -> rand(5, dtype=bfloat16)", seed=2)
    again = surgery.create(STATE, "y -> randn(3, 4), x -> randn(3, 4)", seed=2)
    generator = torch.Generator().manual_seed(derived_seed(2, "x"))
    assert torch.equal(made["x"], torch.randn(3, 4, generator=generator))
    assert torch.equal(made["x"], again["x"])
    assert not torch.equal(made["x"], made["y"])
    assert made["u"].dtype == torch.bfloat16
    assert 0 <= made["u"].min() <= made["u"].max() <= 1


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "complex32"])
def test_draws_of_dtypes_that_torch_cannot_draw(dtype) -> None:
    made = surgery.create(STATE, f"x -> randn(64, dtype={dtype})")["x"]
    assert str(made.dtype) == f"torch.{dtype}"
    assert made.to(torch.complex64).abs().max() > 1


def test_values_that_the_dtype_does_not_hold() -> None:
    with pytest.raises(SurgeryError, match=r"1000(\.0)? does not fit into float8_e4m3fn"):
        surgery.create(STATE, "x -> full(1000, [4], dtype=float8_e4m3fn)")
    with pytest.raises(SurgeryError, match=r"does not exist in float8_e8m0fnu") as caught:
        surgery.create(STATE, "x -> randn(64, dtype=float8_e8m0fnu)")
    assert caught.value.diagnostics[0].code == "layer-arguments"


def test_layers() -> None:
    made = surgery.create(STATE, "head -> Linear(8, 3), neck -> Sequential(Linear(2, 2), BatchNorm1d(2))")
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(0, "head"))
        layer = nn.Linear(8, 3)
    assert torch.equal(made["head.weight"], layer.weight)
    assert torch.equal(made["head.bias"], layer.bias)
    assert [key for key in made if key.startswith("neck.1")] == [
        f"neck.1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]


def test_what_may_be_there_already() -> None:
    made = surgery.create({"head.weight": torch.ones(1)}, "optional head -> Linear(8, 3), optional b -> zeros(1)")
    assert {key: tuple(tensor.shape) for key, tensor in made.items()} == {"head.weight": (1,), "b": (1,)}


MISTAKES = [
    "a -> zeros(2)",
    "b -> zeros()",
    "b -> zeros(-1)",
    "b -> zeros(2, dtype='float32')",
    "b -> zeros(1000000000, 1000000000)",
    "b -> tensor([1, [2]])",
    "b -> tensor([1, 'a'])",
    "b -> tensor([1], device='cpu')",
    "b -> tensor([1], dtype=3)",
    "b -> tensor([1.5], dtype=int64)",
    "b -> tensor([300], dtype=int8)",
    "b -> randn(2, dtype=int64)",
    "b -> arange(3)",
    "b -> Linear(old.in_features, 2)",
    "b -> Linear(2, ...)",
    "b -> ReLU()",
    "b -> Linear(2)",
    "b.* -> zeros(1)",
]


def test_mistakes(golden: Callable[[str, str], None]) -> None:
    shown = []
    for rules in MISTAKES:
        with pytest.raises(SurgeryError) as caught:
            surgery.create(STATE, rules)
        shown.append(str(caught.value))
    golden("steps/create_mistakes", "\n\n".join(shown))
