"""From a skeleton and tensors to a model: ties, devices, extra state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from surgery.formats import Rest
from surgery.model.assemble import assemble
from surgery.model.given import subject_of_module
from surgery.model.parts import module_devices
from surgery.planning.context import Context
from surgery.tensors.expr import detach
from surgery.tensors.subject import Subject


def test_tensors_are_put_in_without_a_copy(small: nn.Module) -> None:
    subject = subject_of_module(small, "model", Context())
    tensors = {key: value.detach().clone() for key, value in small.state_dict().items()}
    model = assemble(subject, tensors)
    assert model.conv1.weight.data_ptr() == tensors["conv1.weight"].data_ptr()
    assert model.bn.running_mean.data_ptr() == tensors["bn.running_mean"].data_ptr()
    assert isinstance(model.conv1.weight, nn.Parameter)
    assert not isinstance(model.bn.running_mean, nn.Parameter)


def test_expressions_decide_what_is_tied(small: nn.Module) -> None:
    subject = subject_of_module(small, "model", Context())
    entry = subject.entries["head.weight"]
    loose = {**subject.entries, "head.weight": dataclasses.replace(entry, expr=detach(entry.expr))}
    model = assemble(subject.replace(entries=loose), small.state_dict())
    assert model.head.weight is not model.embed.weight


def test_integers_are_not_trained() -> None:
    model = nn.Linear(2, 2)
    model.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int64), requires_grad=False)
    subject = subject_of_module(model, "model", Context())
    entries = {key: dataclasses.replace(entry, requires_grad=True) for key, entry in subject.entries.items()}
    made = assemble(subject.replace(entries=entries), model.state_dict())
    assert not made.weight.requires_grad
    assert made.bias.requires_grad


class Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def get_extra_state(self) -> int:
        return self.steps

    def set_extra_state(self, state: int) -> None:
        self.steps = state


def test_extra_state_is_given_back() -> None:
    model = nn.Sequential(Counted())
    subject = subject_of_module(model, "model", Context())
    made = assemble(subject.replace(rest=Rest({}, extra={"0._extra_state": 12})), {})
    assert made[0].steps == 12
    assert model[0].steps == 0


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.b = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.c = nn.Linear(4, 2)
        self.b.register_buffer("ones", torch.ones(4), persistent=False)

    def forward(
        self, x: torch.Tensor, *, plus: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        y = self.c(self.b(self.a(x + plus["one"])))
        return y, {"y": y}


def placed(subject: Subject, devices: dict[str, str | None]) -> Subject:
    return subject.replace(
        entries={k: dataclasses.replace(e, device=devices[k.split(".")[0]]) for k, e in subject.entries.items()}
    )


def test_several_devices_run_together() -> None:
    """Fake tensors know devices that this machine does not have, and complain of operands on two of them."""
    subject = placed(subject_of_module(Parts(), "model", Context()), {"a": None, "b": "cuda:0", "c": "cuda:1"})
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors = {key: torch.empty(e.spec.shape, device=e.device or "cpu") for key, e in subject.entries.items()}
        model = assemble(subject, tensors)
        y, more = model(torch.rand(5, 3), plus={"one": torch.ones(())})
        assert str(model.b.ones.device) == "cuda:0"
        assert y.shape == (5, 2)
        assert {y.device.type, more["y"].device.type} == {"cpu"}


def test_one_device_needs_no_hooks() -> None:
    subject = placed(subject_of_module(Parts(), "model", Context()), {"a": "cuda:0", "b": "cuda:0", "c": "cuda:0"})
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors = {key: torch.empty(e.spec.shape, device="cuda:0") for key, e in subject.entries.items()}
        model = assemble(subject, tensors)
        assert str(model.b.ones.device) == "cuda:0"
        assert not any(m._forward_pre_hooks for m in model.modules())


def test_parts_are_as_large_as_can_be() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    keys = list(model.state_dict())
    assert module_devices(model, dict.fromkeys(keys, "cuda:0")) == {"": "cuda:0"}
    devices = {key: "cuda:0" if key.startswith("0") else "cpu" for key in keys}
    assert module_devices(model, devices) == {"0": "cuda:0", "1": "cpu"}


@pytest.fixture
def meta_placed(finished: Callable[[Subject], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    def run(module: nn.Module) -> nn.Module:
        subject = subject_of_module(module, "model", Context())
        everywhere = {k: dataclasses.replace(e, device="meta") for k, e in subject.entries.items()}
        return finished(subject.replace(entries=everywhere))

    return run


def test_what_is_placed_on_meta_stays_there(meta_placed: Callable[[nn.Module], nn.Module]) -> None:
    assert meta_placed(nn.Linear(2, 2)).weight.is_meta
