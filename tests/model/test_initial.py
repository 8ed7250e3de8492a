"""Initial values: what torch draws, from the seed and the key alone."""

from __future__ import annotations

import torch
from torch import nn

import surgery
from surgery.model.initial import ModuleProducer
from surgery.model.seeds import derived_seed, seeded
from surgery.tensors.dtype import DTYPES


def producer(**options: object) -> ModuleProducer:
    return ModuleProducer(lambda: nn.Linear(4, 3), "Linear(4, 3)", 0, "fc", **options)


def by_hand(seed: int, key: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(seed, key))
        return nn.Linear(4, 3)


def test_values_are_torchs_own() -> None:
    layer, made = by_hand(0, "fc"), producer()
    assert torch.equal(made.produce("weight"), layer.weight)
    assert torch.equal(made.produce("bias"), layer.bias)


def test_a_tensor_asked_for_again_is_made_again() -> None:
    made = producer()
    first, second = made.produce("weight"), made.produce("weight")
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


def test_values_are_drawn_in_float32_and_cast() -> None:
    made = producer(dtypes={"weight": DTYPES["float16"]}).produce("weight")
    assert torch.equal(made, by_hand(0, "fc").weight.half())


def test_the_global_generator_is_untouched() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    producer().produce("bias")
    with seeded(1, "a"):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_order_of_steps_changes_nothing(small: nn.Module) -> None:
    one, two = {"replace_layer": "fc -> Linear(8, 6)"}, {"replace_layer": "conv1 -> Conv2d(4, 8, ...)"}
    both = {"replace_layer": "conv1 -> Conv2d(4, 8, ...), fc -> Linear(8, 6)"}
    torch.manual_seed(1)
    states = []
    for steps in ([one, two], [two, one], [both]):
        torch.rand(3)
        states.append(surgery.load({"seed": 5, "steps": steps}).run(model=small).state_dict)
    assert all(torch.equal(states[0][key], states[n][key]) for key in states[0] for n in (1, 2))
    other = surgery.load({"seed": 6, "steps": [one, two]}).run(model=small).state_dict
    assert not torch.equal(other["fc.weight"], states[0]["fc.weight"])
    assert torch.equal(other["bn.weight"], states[0]["bn.weight"])


def test_a_replaced_layer_is_torchs_layer_under_the_derived_seed(small: nn.Module) -> None:
    made = surgery.replace_layer(small, "fc -> Linear(4, 3)", seed=9)
    assert torch.equal(made.fc.weight, by_hand(9, "fc").weight)
