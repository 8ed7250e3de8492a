"""What changes between a plan and its execution."""

import os

import pytest
import torch
from safetensors.torch import save_file

import surgery
from surgery import SurgeryError

RECIPE = "source: {checkpoint: in.safetensors}\nsteps: [{rename: 'a -> b'}]\noutput: out.safetensors\n"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file({"a": torch.ones(3)}, "in.safetensors")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return surgery.load("recipe.yaml").plan()


def test_a_file_of_the_same_size(plan):
    before = os.stat("in.safetensors").st_mtime_ns
    save_file({"a": torch.zeros(3)}, "in.safetensors")
    os.utime("in.safetensors", ns=(before, before + 1))
    with pytest.raises(SurgeryError, match="was written to, or replaced, after its headers were read"):
        plan.execute()
    assert not os.path.exists("out.safetensors")


def test_another_file_of_the_same_size_and_time(plan):
    before = os.stat("in.safetensors").st_mtime_ns
    save_file({"a": torch.zeros(3)}, "other.safetensors")
    os.utime("other.safetensors", ns=(before, before))
    os.replace("other.safetensors", "in.safetensors")
    with pytest.raises(SurgeryError, match="was written to, or replaced, after its headers were read"):
        plan.execute()
    assert not os.path.exists("out.safetensors")


def test_a_file_that_is_gone(plan):
    os.unlink("in.safetensors")
    with pytest.raises(SurgeryError, match="cannot be opened any more"):
        plan.execute()


def test_nothing(plan):
    assert plan.execute().written
