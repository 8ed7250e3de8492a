"""Casts to float8, whose overflow torch does not always show: of what is too large it may make the largest value."""

import pytest
import torch

from surgery.ops.arithmetic import convert
from surgery.ops.base import OpError

# the largest value that rounds down to the largest of the type, and the next one of float32, or a clearly larger one
EDGES = [
    (torch.float8_e4m3fn, 464.0, 464.0001),
    (torch.float8_e4m3fnuz, 247.9999, 248.0),
    (torch.float8_e5m2, 61439.0, 61440.0),
    (torch.float8_e5m2fnuz, 61439.0, 61440.0),
    (torch.float8_e8m0fnu, 2.552117e38, 2.5522e38),
]
SIGNS = (1, -1)


def signs(target: torch.dtype) -> tuple[int, ...]:
    return (1,) if target == torch.float8_e8m0fnu else SIGNS


@pytest.mark.parametrize("source", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("target", "fits", "beyond"), EDGES, ids=str)
def test_values_round_to_the_largest_one_or_are_an_error(source, target, fits, beyond) -> None:
    largest = torch.finfo(target).max
    for sign in signs(target):
        result = convert("cast", torch.tensor([1.0, sign * fits], dtype=source), target)
        assert result.tolist() == [1.0, sign * largest]
        for much in (beyond, beyond * 1.3, float("inf")):
            with pytest.raises(OpError, match="does not fit into float8") as caught:
                convert("cast", torch.tensor([1.0, sign * much, 2.0], dtype=source), target)
            assert f"whose largest value is {largest}" in str(caught.value)


@pytest.mark.parametrize("source", [torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint16], ids=str)
def test_what_is_too_large_is_told_of_every_dtype(source) -> None:
    assert convert("cast", torch.tensor([464, 1], dtype=source), torch.float8_e4m3fn).tolist() == [448, 1]
    with pytest.raises(OpError, match=r"468(\.0)? does not fit"):
        convert("cast", torch.tensor([468, 1], dtype=source), torch.float8_e4m3fn)


def test_one_float8_to_another() -> None:
    with pytest.raises(OpError, match=r"57344\.0 does not fit into float8_e4m3fn"):
        convert("cast", torch.tensor([57344.0]).to(torch.float8_e5m2), torch.float8_e4m3fn)
    same = torch.tensor([448.0, -1.0]).to(torch.float8_e4m3fn)
    assert convert("cast", same, torch.float8_e5m2).tolist() == [448.0, -1.0]


def test_nan_stays_nan() -> None:
    result = convert("cast", torch.tensor([float("nan"), 464.0]), torch.float8_e4m3fn)
    assert result.float().isnan().tolist() == [True, False]
