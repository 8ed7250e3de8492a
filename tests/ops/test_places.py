"""An error about an argument of an operation points at that argument, and not at the operation."""

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError

STATE = {"w": torch.zeros(4, 6)}

#: what is wrong, between ‹ and ›, and a part of what is said of it
WRONG = [
    ("transpose(0, ‹5›)", "no dimension 5"),
    ("transpose(0, ‹'x'›)", "wants an integer for `b`"),
    ("permute(‹0, 3›)", "no dimension 3"),
    ("reshape(‹5, -1›)", "cannot make"),
    ("split(‹[3, 2]›)", "add up to 5"),
    ("split([3, 1], dim=‹7›)", "no dimension 7"),
    ("slice(‹5›, 9)", "no part"),
    ("slice(1, ‹9›)", "no part"),
    ("select(‹[7]›)", "no index 7"),
    ("pad(‹2›)", "longer than 2 already"),
    ("pad(8, fill=‹'men'›)", "wants a number or 'mean'"),
    ("clamp(‹3›, 1)", "above `max`"),
    ("rearrange(‹'a b -> c a'›)", "drops the axis b"),
    ("rearrange('a b -> b a', z=‹3›)", "has no axis z"),
    ("reduce('a b -> a', ‹'median'›)", "wants 'min'"),
    ("resize(‹0, 3›)", "positive sizes"),
    ("low_rank(‹9›)", "at most rank 4"),
    ("fold_bn(eps=‹-1›)", "0 or more"),
    ("transpose(0, 1) | flip(‹2›)", "no dimension 2"),
    # where no argument is wrong, the operation is
    ("‹transpose›(0)", "needs `b`"),
    ("‹transpose›(0, 1, 2)", "at most 2 arguments"),
    ("transpose(0, 1, ‹dims›=3)", "has no argument `dims`"),
    ("‹clamp›()", "needs `min` or `max`"),
    ("‹resample_grid›(2, 2)", "no square grid"),
]


@pytest.mark.parametrize(("marked", "said"), WRONG)
def test_the_place_of_a_wrong_argument(marked, said):
    call = marked.replace("‹", "").replace("›", "")
    right = "(q|k)" if call.startswith(("split", "low_rank")) else "x"
    with pytest.raises(SurgeryError) as refused:
        surgery.load({"steps": [{"convert": f"w -> {right} via {call}"}]}).plan(state_dict=STATE)
    (found,) = [one for one in refused.value.diagnostics if said in one.message]
    at = found.span.column - 1
    assert found.span.excerpt[at : at + found.span.length] == marked[marked.index("‹") + 1 : marked.index("›")]
