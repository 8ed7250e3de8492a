"""`expect: parity`: outputs of two models on one input, and the first module that differs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import surgery
from surgery.model.outputs import distance, first_difference, outputs_of, seeded_inputs


class Net(nn.Module):
    """Two layers, one of them called twice, and something between them that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3))

    def forward(self, values: torch.Tensor) -> dict[str, object]:
        hidden = self.first(self.first(values)).relu()
        return {"out": self.block(hidden), "parts": (hidden, hidden.sum())}


@pytest.fixture
def twins() -> tuple[Net, Net]:
    torch.manual_seed(0)
    one, other = Net(), Net()
    other.load_state_dict(one.state_dict())
    return one, other


def run(model: nn.Module, reference: nn.Module, tmp_path, *, state: bool = False, **options: object) -> surgery.Result:
    """A run that expects the outputs of another model, which is given under the name `other`."""
    parity = {"like": {"given": "other"}, "input": [2, 4], **options}
    recipe = {"source": {"given": "state_dict" if state else "model"}, "expect": {"parity": parity}}
    mine = {"state_dict": model.state_dict()} if state else {"model": model}
    return surgery.run(recipe, **mine, given={"other": reference}, output=tmp_path / "out.safetensors")


@pytest.mark.parametrize("state", [False, True])
def test_equal_models_agree(twins, tmp_path, state):
    result = run(*twins, tmp_path, state=state)
    assert (tmp_path / "out.safetensors").is_file()
    assert torch.equal(result.state_dict["first.weight"], twins[0].first.weight)


@pytest.mark.parametrize("state", [False, True])
def test_the_first_module_that_differs_is_named_and_nothing_is_written(twins, tmp_path, state):
    model, reference = twins
    with torch.no_grad():
        model.block[1].bias += 0.1
    with pytest.raises(surgery.SurgeryError, match=r"`block\.1` is the first module that differs, by") as caught:
        run(model, reference, tmp_path, state=state)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out.safetensors").exists()
    assert model.training, "what was given is not changed"


def test_the_tolerance(twins, tmp_path):
    model, reference = twins
    with torch.no_grad():
        model.first.weight *= 1.001
    run(model, reference, tmp_path, tolerance=0.1)


def test_a_reference_of_other_keys(tmp_path, twins, golden):
    model, reference = twins
    del model.block[1]
    with pytest.raises(surgery.SurgeryError) as caught:
        run(model, reference, tmp_path, state=True)
    golden("expect/parity_other_keys", str(caught.value))


@pytest.mark.parametrize(
    ("name", "shape"), {"input": [2, 5], "absurd_input": [10**9, 10**9], "empty_input": [0, 4]}.items()
)
def test_an_input_that_does_not_fit(name, shape, tmp_path, twins, golden):
    with pytest.raises(surgery.SurgeryError) as caught:
        run(*twins, tmp_path, input=shape)
    golden(f"expect/parity_{name}", str(caught.value))


def test_a_checkpoint_is_no_reference(tmp_path, twins):
    torch.save(twins[1].state_dict(), tmp_path / "in.pth")
    with pytest.raises(surgery.SurgeryError, match="is no model that could be run"):
        run(*twins, tmp_path, like={"checkpoint": str(tmp_path / "in.pth")})


def test_a_renamed_checkpoint_is_a_torchvision_model(tmp_path):
    """Keys, shapes and dtypes are those of the model; two swapped biases are found by the outputs alone."""
    from torchvision.models import squeezenet1_1

    model = squeezenet1_1(weights=None)
    nn.init.normal_(model.features[3].expand1x1.bias)
    nn.init.normal_(model.features[3].expand3x3.bias)
    torch.save(model.state_dict(), tmp_path / "reference.pth")
    parity = {
        "like": {"torchvision": "squeezenet1_1", "weights": str(tmp_path / "reference.pth")},
        "input": [1, 3, 64, 64],
    }
    recipe = {"source": {"given": "state_dict"}, "expect": {"parity": parity}}
    surgery.run(recipe, state_dict=model.state_dict())
    recipe["steps"] = [{"rename": "features.(3.expand1x1|3.expand3x3).bias -> features.(3.expand3x3|3.expand1x1).bias"}]
    with pytest.raises(surgery.SurgeryError, match=r"`features\.3\.expand[13]x[13]` is the first module that differs"):
        surgery.run(recipe, state_dict=model.state_dict())


def test_distances():
    one = [torch.tensor([1.0, -2.0])]
    assert distance(one, [torch.tensor([1.0, -2.0])]) == 0
    assert distance(one, [torch.tensor([1.0, -1.0])]) == 0.5
    assert distance(one, [torch.tensor([[1.0, -2.0]])]) == float("inf")
    assert distance(one, [torch.tensor([1.0, float("nan")])]) == float("inf")
    assert distance([torch.zeros(2)], [torch.zeros(2)]) == 0
    assert distance([torch.zeros(0)], [torch.zeros(0)]) == 0
    masked = torch.tensor([-float("inf"), 2.0])
    assert distance([masked], [masked]) == 0
    assert distance([masked], [torch.tensor([-float("inf"), 1.0])]) == 0.5
    assert distance([masked], [torch.tensor([float("inf"), 2.0])]) == float("inf")
    assert distance([masked], [torch.tensor([0.0, 2.0])]) == float("inf")


def test_hooks_are_gone_afterwards(twins):
    one, other = twins
    values = seeded_inputs([((2, 4), None)], 0)
    assert first_difference(one, other, values, 0.0) is None
    assert not any(module._forward_hooks for module in (*one.modules(), *other.modules()))
    assert len(outputs_of(one, values, "the model")) == 3
    assert torch.equal(*(seeded_inputs([((2, 4), None)], 1)[0] for _ in range(2)))


class Renamed(Net):
    """The same, with another name for its argument."""

    def forward(self, other: torch.Tensor | None = None, hidden: torch.Tensor | None = None) -> dict[str, object]:
        return super().forward(hidden)


def test_inputs_are_keyword_arguments_where_they_have_names(twins, tmp_path):
    model, reference = Renamed(), twins[1]
    model.load_state_dict(reference.state_dict())
    run(model, reference, tmp_path, input=[{"shape": [2, 4], "name": ["values", "hidden"]}])
    with pytest.raises(surgery.SurgeryError, match="the result does not run on an input of"):
        run(model, reference, tmp_path, input=[{"shape": [2, 4], "name": "values"}])


class Fused(nn.Module):
    """What `Net` computes up to its block, in a module that names things otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.end = nn.Identity()

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.body(self.body(values)).relu()
        return values, self.end(hidden)


def run_fused(model: Net, **options: object) -> surgery.Result:
    """The first layer of a `Net` in a `Fused`, against the whole."""
    parity = {"like": {"given": "net"}, "into": {"given": "fused"}, "input": [2, 4], **options}
    steps = [{"filter": {"keep": "first"}}, {"rename": "first -> body"}]
    recipe = {"source": {"given": "state_dict"}, "steps": steps, "expect": {"parity": parity}}
    return surgery.run(recipe, state_dict=model.state_dict(), given={"net": model, "fused": Fused()})


@pytest.mark.parametrize(
    "options",
    [
        {"output": ["parts.0", "1"]},
        {"output": ["parts.0", 1]},
        {"output": ["parts.0", None], "at": [None, "end"]},
        {"at": ["block.0", "end"]},
        {"module": ["first", "body"], "input": [3, 4]},
    ],
    ids=str,
)
def test_another_implementation(options, twins):
    run_fused(twins[0], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    {
        "the first output is another": ({"output": ["parts.0", "0"]}, "the outputs of the result are not those of"),
        "more outputs": ({}, "they are of shape"),
        "no such output": ({"output": ["parts.0", "2"]}, "the result has no output `2`"),
        "no part of a tensor": ({"output": ["parts.0.x", "1"]}, "the reference has no output `x`"),
        "no such module": ({"at": ["blok", "end"]}, "the reference has no module `blok`"),
        "no such submodule": ({"module": "first"}, "the result has no module `first`"),
    }.values(),
)
def test_another_implementation_that_differs(options, message, twins):
    with pytest.raises(surgery.SurgeryError) as caught:
        run_fused(twins[0], **options)
    assert message in str(caught.value)
    assert "is the first module that differs" not in str(caught.value), "modules of others are others"


def test_a_module_that_is_not_called(twins):
    twins[0].spare = nn.Linear(4, 4)
    with pytest.raises(surgery.SurgeryError, match="the reference does not call its `spare`"):
        run_fused(twins[0], at=["spare", "end"])


def test_zeros_prove_nothing(twins, tmp_path):
    with torch.no_grad():
        for parameter in (*twins[0].parameters(), *twins[1].parameters()):
            parameter.zero_()
    with pytest.raises(surgery.SurgeryError, match="nothing but zeros"):
        run(*twins, tmp_path)


def test_tied_tensors_of_the_other_model_need_one_name():
    host = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    host[1].weight = host[0].weight
    reference = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    reference.load_state_dict({key: torch.randn(4, 4) for key in ("0.weight", "1.weight")})
    reference[1].weight = reference[0].weight
    parity = {"like": {"given": "reference"}, "into": {"given": "host"}, "input": [2, 4]}
    recipe = {"source": {"given": "state_dict"}, "expect": {"parity": parity}}
    surgery.run(
        recipe, state_dict={"1.weight": reference[0].weight.detach()}, given={"host": host, "reference": reference}
    )
