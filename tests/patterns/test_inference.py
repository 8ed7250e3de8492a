"""Pattern 1: save and load for inference, with the modes set, on any device."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torchvision import models

import surgery


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_outputs_are_those_of_the_usual_lines(name, suffix, shaken, same) -> None:
    trained = shaken(models.get_model_builder(name)(num_classes=10))
    surgery.load({"output": f"trained.{suffix}"}).run(model=trained)
    torch.save(trained.state_dict(), "plain.pth")
    source = {"torchvision": name, "weights": f"trained.{suffix}", "kwargs": {"num_classes": 10}}
    model = surgery.run({"source": source, "steps": [{"mode": "eval"}]}).model
    plain = models.get_model_builder(name)(num_classes=10)
    plain.load_state_dict(torch.load("plain.pth", map_location="cpu", weights_only=True))
    plain.eval()
    same(model.state_dict(), plain.state_dict())
    assert not any(module.training for module in model.modules())
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model(x), plain(x))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_mode_is_that_of_the_recipe(mode, shaken) -> None:
    net = shaken(models.squeezenet1_1(num_classes=4))
    for before in (True, False):
        model = surgery.mode(net.train(before), mode)
        assert {module.training for module in model.modules()} == {mode == "train"}
        assert net.training is before


def test_what_was_saved_elsewhere_is_loaded_here(shaken, same) -> None:
    """Of a file of a GPU the device is in the file only; torch wants `map_location`."""
    net = shaken(models.squeezenet1_1(num_classes=4))
    torch.save(net.state_dict(), "plain.pth")
    Path("cuda.pth").write_bytes(on_a_gpu("plain.pth"))
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load("cuda.pth", weights_only=True)
    source = {"torchvision": "squeezenet1_1", "weights": "cuda.pth", "kwargs": {"num_classes": 4}}
    model = surgery.run({"source": source, "steps": [{"device_map": "** -> cuda:99 or cpu"}]}).model
    plain = torch.load("cuda.pth", map_location="cpu", weights_only=True)
    same(model.state_dict(), plain)
    assert {str(tensor.device) for tensor in model.state_dict().values()} == {"cpu"}


def on_a_gpu(path: str) -> bytes:
    """The file, as it would have been saved on `cuda:0`: the archive, with the device in its pickle exchanged."""
    target = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for entry in old.namelist():
            data = old.read(entry)
            if entry.endswith("data.pkl"):
                data = data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            new.writestr(entry, data)
    return target.getvalue()
