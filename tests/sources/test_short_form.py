"""A source that is a text is the place of a checkpoint, wherever a source stands."""

from __future__ import annotations

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError


@pytest.fixture
def directory(tmp_path, monkeypatch):
    torch.save({"a.w": torch.ones(2)}, tmp_path / "a.pth")
    torch.save({"b.w": torch.zeros(2)}, tmp_path / "b.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(recipe: object, **params: object) -> list[str]:
    return sorted(surgery.run(recipe, params=params).state_dict)


def test_it_stands_wherever_a_source_does(directory):
    assert keys({"source": "a.pth"}) == ["a.w"]
    assert keys({"sources": {"x": "a.pth", "y": "b.pth"}}) == ["x.a.w", "y.b.w"]
    assert keys({"source": "a.pth", "steps": [{"load": {"from": "b.pth", "steps": [{"rename": "b -> a"}]}}]}) == ["a.w"]
    assert keys({"source": "a.pth", "expect": {"like": "a.pth"}}) == ["a.w"]


def test_it_may_be_a_parameter(directory):
    assert keys({"params": {"file": {"type": "path"}}, "source": "$file"}, file="b.pth") == ["b.w"]


def test_a_name_of_a_model_is_no_checkpoint(directory):
    (directory / "recipe.yaml").write_text("source: resnet50\n")
    with pytest.raises(SurgeryError) as caught:
        surgery.run("recipe.yaml")
    assert "= a model of torchvision is `{torchvision: resnet50}`" in str(caught.value)
    (directory / "recipe.yaml").write_text("source: models/resnet50.pth\n")
    with pytest.raises(SurgeryError) as caught:
        surgery.run("recipe.yaml")
    assert "torchvision" not in str(caught.value)
