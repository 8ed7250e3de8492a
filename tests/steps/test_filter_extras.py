"""``filter: {drop: …}`` and what a state dict holds beside tensors."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError

STATE = OrderedDict(
    {
        "a.w": torch.ones(2),
        "a._extra_state": {"x": torch.ones(2)},
        "b.w": torch.ones(2),
        "b._extra_state": None,
        "epoch": 3,
    }
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(STATE, "a.pt")


def run(*steps, output="b.pt"):
    lines = "".join(f"  - {step}\n" for step in steps)
    with open("r.yaml", "w") as file:
        file.write(f"source: {{checkpoint: a.pt}}\nsteps:\n{lines}output: {output}\n")
    surgery.load("r.yaml").run()
    return None if output.endswith("safetensors") else list(torch.load(output, weights_only=True))


def test_what_is_no_tensor_can_be_dropped():
    assert run("filter: {drop: epoch}") == ["a.w", "b.w", "a._extra_state", "b._extra_state"]
    assert run("filter: {drop: '**._extra_state'}", output="c.pt") == ["a.w", "b.w", "epoch"]


def test_it_has_the_name_that_its_module_has_now():
    assert run("rename: 'a -> c'", "filter: {drop: [c._extra_state, epoch]}") == ["c.w", "b.w", "b._extra_state"]


def test_it_goes_with_its_module():
    assert run("filter: {drop: 'b'}") == ["a.w", "a._extra_state", "epoch"]


def test_without_it_safetensors_takes_the_rest():
    with pytest.raises(SurgeryError, match="leaves out what it selects") as error:
        run("rename: 'a -> c'", output="b.safetensors")
    assert error.value.diagnostics[0].code == "not-in-this-format"
    run("filter: {drop: ['**._extra_state', epoch]}", output="b.safetensors")


def test_a_name_that_is_none_is_still_an_error():
    with pytest.raises(SurgeryError, match="selects nothing"):
        run("filter: {drop: epohc}")


def test_keep_keeps_what_it_names_alone():
    assert run("filter: {keep: a}") == ["a.w", "a._extra_state"]
    assert run("filter: {keep: 'a.w'}", output="d.pt") == ["a.w"]
    assert run("filter: {keep: [b, epoch]}", output="e.pt") == ["b.w", "b._extra_state", "epoch"]
