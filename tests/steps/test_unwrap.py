"""``unwrap``: wrappers come off, at any depth and in any order."""

import pytest
import torch
from torch import nn

import surgery


def keys(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(float(number)) for number, name in enumerate(names)}


@pytest.mark.parametrize(
    ("wrapped", "plain"),
    [
        (["module.a.w", "module.b"], ["a.w", "b"]),
        (["_orig_mod.module.a.w", "_orig_mod.module.b"], ["a.w", "b"]),
        (["module._orig_mod.a.w"], ["a.w"]),
        (["module.module.module.a"], ["a"]),
        (["enc._orig_mod.w", "enc._orig_mod.b", "head.w"], ["enc.w", "enc.b", "head.w"]),
        (["n_averaged", "module.a", "module.b"], ["a", "b"]),
        (["n_averaged", "module._orig_mod.a"], ["a"]),
        # siblings do not agree: these are names of the model's own
        (["module.a", "head.b", "x._orig_mod.c"], ["module.a", "head.b", "x.c"]),
    ],
)
def test_what_comes_off(wrapped: list[str], plain: list[str]) -> None:
    assert list(surgery.unwrap(keys(*wrapped), True)) == plain


def test_a_tensor_called_module_is_no_wrapper() -> None:
    with pytest.raises(surgery.SurgeryError, match="no wrapper is there"):
        surgery.unwrap(keys("a.module", "b.c"), True)


def test_nothing_to_unwrap_is_an_error_unless_it_is_optional() -> None:
    with pytest.raises(surgery.SurgeryError, match="unwrap: optional"):
        surgery.unwrap(keys("a", "b.c"), True)
    assert list(surgery.unwrap(keys("a", "b.c"), "optional")) == ["a", "b.c"]


def test_a_prefix_that_not_all_siblings_have_is_named() -> None:
    with pytest.raises(surgery.SurgeryError) as caught:
        surgery.unwrap(keys("x.module.a", "x.b", "x.c"))
    assert (
        '`x.module.` stands beside `x.b`, `x.c`, so it is no wrapper of them all; `rename: "x.module.** -> x.**"`'
        in (str(caught.value))
    )


def test_torch_s_own_wrappers() -> None:
    inner = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    averaged = torch.optim.swa_utils.AveragedModel(nn.DataParallel(torch.compile(inner)))
    plain = surgery.unwrap(averaged.state_dict(), True)
    assert list(plain) == list(inner.state_dict())
    assert all(torch.equal(plain[key], value) for key, value in inner.state_dict().items())


def test_it_says_what_it_stripped() -> None:
    result = surgery.run({"steps": [{"unwrap": True}]}, state_dict=keys("module.a", "module.b._orig_mod.c"))
    assert result.plan.remarks == (
        "unwrap: `module.` came off 2 keys",
        "unwrap: `module.b._orig_mod.` came off 1 key",
    )
