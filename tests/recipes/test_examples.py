"""Values that the tests in shipped recipes cannot compare, and what recipes refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import surgery
from surgery.resources import resource

RECIPES = resource("recipes")


@pytest.fixture
def directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_soup(directory):
    generator = torch.Generator().manual_seed(0)
    parts = {}
    for name in "abc":
        parts[name] = {
            "encoder.norm1.weight": torch.randn(8, generator=generator),
            "encoder.fc.weight": torch.randn(4, 8, generator=generator),
            "encoder.norm1.num_batches_tracked": torch.tensor(ord(name)),
        }
        save_file(parts[name], directory / f"{name}.safetensors")
    names = {name: str(directory / f"{name}.safetensors") for name in "abc"}
    surgery.run(RECIPES / "soup.yaml", **names, output=directory / "soup.safetensors")
    found = load_file(directory / "soup.safetensors")
    assert sorted(found) == sorted(parts["a"])
    assert found["encoder.norm1.num_batches_tracked"].item() == ord("a"), "counters are those of the first"
    assert found["encoder.norm1.weight"].dtype == torch.float32
    assert found["encoder.fc.weight"].dtype == torch.bfloat16
    for key in ("encoder.norm1.weight", "encoder.fc.weight"):
        mean = torch.stack([parts[name][key].double() for name in "abc"]).mean(0).float()
        torch.testing.assert_close(found[key], mean.to(found[key].dtype))


def test_depth_upscale(directory):
    source = directory / "model"
    source.mkdir()
    state = {f"model.layers.{i}.{part}.weight": torch.full((2, 3), float(i)) for i in range(32) for part in ("q", "up")}
    state |= {"model.embed_tokens.weight": torch.randn(5, 3), "model.norm.weight": torch.ones(3)}
    save_file(state, source / "model.safetensors")
    output = directory / "upscaled"
    surgery.run(RECIPES / "depth_upscale.yaml", params={"model": str(source)}, output=output)
    found = {key: tensor for file in output.glob("*.safetensors") for key, tensor in load_file(file).items()}
    assert len(found) == 2 * 48 + 2
    for layer in range(48):
        before = layer if layer < 24 else layer - 16
        assert torch.equal(found[f"model.layers.{layer}.up.weight"], torch.full((2, 3), float(before)))
    assert torch.equal(found["model.embed_tokens.weight"], state["model.embed_tokens.weight"])


def test_a_failing_load_of_a_model_is_a_short_table(directory):
    from torchvision.models import resnet50

    state = {f"module.{key}": tensor for key, tensor in resnet50(weights=None).state_dict().items()}
    torch.save(state, directory / "wrapped.pth")
    recipe = {
        "source": {"torchvision": "resnet50", "weights": None},
        "steps": [{"load": {"from": {"checkpoint": "wrapped.pth"}}}],
    }
    with pytest.raises(surgery.SurgeryError) as caught:
        surgery.load(recipe).plan()
    text = str(caught.value)
    assert "all 320 keys of the checkpoint begin with `module.`" in text
    assert "`unwrap: true`" in text
    assert len(text.splitlines()) < 20
    assert caught.value.exit_code == 3


def test_values_that_are_not_finite_end_the_run_and_nothing_is_written(directory):
    save_file({"a.w": torch.ones(3), "b.w": torch.tensor([1.0, float("nan")])}, directory / "in.safetensors")
    recipe = {
        "source": {"checkpoint": "in.safetensors"},
        "steps": [{"check": {"finite": "b"}}],
        "output": "out.safetensors",
    }
    with pytest.raises(surgery.SurgeryError, match=r"`b.w` is not finite: 1 of 2 values") as caught:
        surgery.run(recipe)
    assert caught.value.exit_code == 1
    assert [file.name for file in directory.iterdir()] == ["in.safetensors"]


def test_expectations(directory):
    from torchvision.models import resnet18

    model = resnet18(weights=None)
    save_file(model.state_dict(), directory / "in.safetensors")
    parameters = sum(p.numel() for p in model.parameters())
    expect = {
        "keys": 122,
        "parameters": parameters,
        "finite": True,
        "like": {"torchvision": "resnet18", "weights": None},
    }
    recipe = {"source": {"checkpoint": "in.safetensors"}, "expect": expect, "output": "out.safetensors"}
    surgery.run(recipe)
    found = load_file(directory / "out.safetensors")
    assert all(torch.equal(found[key], tensor) for key, tensor in model.state_dict().items())
    expect["like"] = {"torchvision": "resnet34", "weights": None}
    with pytest.raises(surgery.SurgeryError, match="the result is not like torchvision resnet34") as caught:
        surgery.run(recipe)
    assert caught.value.exit_code == 1
