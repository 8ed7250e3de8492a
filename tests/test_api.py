"""Recipes from Python: what they are given, and what comes back."""

import pytest
import torch
from torch import nn

import surgery

RENAME = {"steps": [{"rename": "module.** -> **"}]}


def test_a_state_dict_by_place_or_by_name() -> None:
    state = {"module.w": torch.arange(3.0)}
    recipe = surgery.load(RENAME)
    for result in (recipe.run(state), recipe.run(state_dict=state), surgery.run(RENAME, state_dict=state)):
        assert list(result.state_dict) == ["w"]
        assert torch.equal(result.state_dict["w"], state["module.w"])


def test_a_model_by_place() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    result = surgery.load({"steps": [{"freeze": "**"}]}).run(model)
    assert not result.model[0].weight.requires_grad
    assert model[0].weight.requires_grad


def test_a_parameter_called_model_is_the_parameter() -> None:
    recipe = surgery.load({"params": {"model": "x"}, "steps": [{"rename": "a -> $model.a"}]})
    assert list(recipe.run({"a": torch.ones(1)}, model="net").state_dict) == ["net.a"]


@pytest.mark.parametrize(("options", "words"), [({"model": {}}, "is a state dict"), ({"state_dict": 3}, "no mapping")])
def test_the_wrong_word(options: dict, words: str) -> None:
    with pytest.raises(surgery.SurgeryError, match=words):
        surgery.load(RENAME).run(**options)


def test_a_source_of_its_own_and_something_given() -> None:
    recipe = surgery.load({"source": {"torchvision": "resnet18", "weights": None}})
    with pytest.raises(surgery.SurgeryError, match="source of its own"):
        recipe.plan(nn.Linear(1, 1))


def test_something_given_that_nothing_uses() -> None:
    with pytest.raises(surgery.SurgeryError, match="`state_dict` is given, and the recipe does not use it"):
        surgery.load([{"mode": "eval"}]).plan(nn.Linear(1, 1), state_dict={})


def test_a_model_and_the_state_dict_for_it() -> None:
    model, state = nn.Linear(2, 1), nn.Linear(2, 1).state_dict()
    result = surgery.load([{"load": {"from": {"given": "state_dict"}}}]).run(model=model, state_dict=state)
    assert torch.equal(result.model.weight, state["weight"])


def test_a_model_beside_a_reference_in_memory() -> None:
    model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    recipe = surgery.load({"expect": {"parity": {"like": {"given": "reference"}, "input": [3, 2]}}})
    assert recipe.run(model=model, given={"reference": model}).model is not None
    with pytest.raises(surgery.SurgeryError, match="not those of the given reference"):
        recipe.run(model=model, given={"reference": other})


def test_results_are_snapshots() -> None:
    state = {"module.w": torch.zeros(2)}
    result = surgery.load(RENAME).run(state)
    state["module.w"].add_(1)
    assert not result.state_dict["w"].any()


def test_torch_s_names_of_operations_are_known() -> None:
    with pytest.raises(surgery.SurgeryError, match="here it is `concat`"):
        surgery.convert({"a": torch.ones(1), "b": torch.ones(1)}, "(a|b) -> c via cat(dim=0)")
