"""State dicts that the caller holds: unusual tensors in them, and what happens to them after the plan."""

from __future__ import annotations

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError


class Own(torch.Tensor):
    """A tensor of a class of its own."""


UNUSUAL = {
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8),
    "sparse": lambda: torch.eye(2).to_sparse(),
    "own": lambda: torch.ones(2, 2).as_subclass(Own),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_tensors_are_renamed_copied_and_filtered(kind: str) -> None:
    tensor = UNUSUAL[kind]()
    state = {"m.q": tensor, "m.w": torch.ones(2)}
    for made, key in (
        (surgery.rename(state, "m.** -> **"), "q"),
        (surgery.copy(state, "m.q -> q"), "q"),
        (surgery.filter(state, keep="m.q"), "m.q"),
    ):
        assert made[key] is not tensor
        assert (type(made[key]), made[key].layout, made[key].dtype) == (type(tensor), tensor.layout, tensor.dtype)
        dense = [t.dequantize() if t.is_quantized else t.to_dense() for t in (made[key], tensor)]
        assert torch.equal(*dense)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize("operation", ["transpose(0, 1)", "scale(2)", "cast(float16)", "flatten"])
def test_operations_refuse_unusual_tensors_by_name(kind: str, operation: str) -> None:
    with pytest.raises(SurgeryError) as caught:
        surgery.convert({"q": UNUSUAL[kind]()}, f"q -> r via {operation}")
    assert operation.partition("(")[0] in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_a_tensor_without_a_shape_is_refused() -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    with pytest.raises(SurgeryError, match="`q` has no shape"):
        surgery.rename({"q": nested}, "q -> r")


def test_an_expanded_tensor_that_no_memory_holds() -> None:
    state = {"q": torch.ones(1).expand(10**7, 10**7)}
    with pytest.raises(SurgeryError, match="no-memory"):
        surgery.rename(state, "q -> r")


@pytest.mark.parametrize("rule", [{"rename": "q -> r"}, {"convert": "q -> r via flatten"}])
def test_a_tensor_that_changes_its_shape_after_the_plan(rule: dict[str, str]) -> None:
    tensor = torch.ones(3)
    plan = surgery.load({"steps": [rule]}).plan(state_dict={"q": tensor})
    tensor.resize_(7)
    with pytest.raises(SurgeryError, match=r"was float32 \[3\] in the plan, and is \[7\] now"):
        plan.execute()


def test_versions_of_modules_follow_their_names() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    made = surgery.rename(net.state_dict(), "0 -> fc, ** -> x.**")
    assert made._metadata["x.1"] == {"version": 2}
    assert made._metadata["fc"] == {"version": 1}
    # what torch makes of it: without a version, a missing counter passes for an old checkpoint
    del made["x.1.num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        net.load_state_dict(surgery.rename(made, "fc -> 0, x.** -> **"))


def test_extra_state_in_a_given_dict_is_refused_with_the_way_out() -> None:
    state = {"a.w": torch.ones(2), "a._extra_state": {"x": 1}}
    with pytest.raises(SurgeryError, match=r"`a\._extra_state` is no tensor .*: it is dict") as error:
        surgery.rename(state, "a -> b")
    assert "goes along from a file" in error.value.diagnostics[0].notes[0]


@pytest.mark.parametrize("thing", [torch.nn.Linear(2, 2), {"weight": torch.ones(2)}])
def test_an_object_that_is_passed_as_a_parameter_is_told_where_it_goes(thing: object) -> None:
    with pytest.raises(SurgeryError, match="the recipe has no parameter `teacher`") as error:
        surgery.load([{"mode": "eval"}]).run(model=torch.nn.Linear(2, 2), teacher=thing)
    assert error.value.diagnostics[0].notes == (
        "what a recipe calls `{given: teacher}` is passed as `given={'teacher': …}`",
    )


def test_what_a_model_has_in_the_place_of_what_is_loaded_comes_last_in_the_account() -> None:
    net, state = torch.nn.Linear(2, 2), {"weight": torch.ones(2, 2), "bias": torch.ones(2), "more": torch.ones(1)}
    step = {"load": {"from": {"given": "state_dict"}, "unexpected": "more"}}
    plan = surgery.load({"source": {"given": "model"}, "steps": [step]}).plan(model=net, state_dict=state)
    assert [drop.touch.action.split()[1] for drop in plan.drops] == ["is", "replaced", "replaced"]
