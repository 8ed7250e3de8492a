"""Which checkpoint a directory holds: an index, a single file, beside what trainers and other formats leave there."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from surgery.diagnostics import SurgeryError
from surgery.formats import read

TRAINER = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_0.pth", "scaler.pt")
ACCELERATE = ("optimizer.bin", "scheduler.bin", "sampler.bin", "random_states_0.pkl", "custom_checkpoint_0.pkl")


def weights(path, key="a"):
    if path.suffix == ".safetensors":
        save_file({key: torch.ones(1)}, path)
    else:
        torch.save({key: torch.ones(1)}, path)


def index(path, **shards):
    for key, name in shards.items():
        weights(path.parent / name, key)
    path.write_text(json.dumps({"metadata": {}, "weight_map": shards}))


def refusal(path):
    with pytest.raises(SurgeryError) as error:
        read(path)
    return error.value.diagnostics[0]


@pytest.mark.parametrize("others", [TRAINER, ACCELERATE])
@pytest.mark.parametrize("model", ["model.safetensors", "pytorch_model.bin"])
def test_a_directory_of_a_trainer(model, others, tmp_path):
    for name in (model, *others):
        weights(tmp_path / name)
    (tmp_path / "config.json").write_text("{}")
    assert read(tmp_path).path == str(tmp_path / model)


def test_the_state_of_a_run_alone_is_a_checkpoint_too(tmp_path):
    weights(tmp_path / "optimizer.pt")
    assert read(tmp_path).path == str(tmp_path / "optimizer.pt")


@pytest.mark.parametrize(
    "names",
    [
        ("model.safetensors", "pytorch_model.bin"),
        ("model.safetensors", "model.fp16.safetensors"),
        ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("consolidated.00.pth", "consolidated.01.pth"),
    ],
)
def test_several_formats_and_variants(names, tmp_path):
    for name in names:
        weights(tmp_path / name)
    found = refusal(tmp_path)
    assert found.code == "several-checkpoints"
    assert all(name in found.message for name in names)


SHARDS = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "model.safetensors.index.fp16.json"])
@pytest.mark.parametrize("shards", [SHARDS, {"a": "one.safetensors", "b": "two.safetensors"}])
def test_an_index(shards, name, tmp_path):
    index(tmp_path / name, **shards)
    for other in TRAINER:
        weights(tmp_path / other)
    assert list(read(tmp_path).tree) == ["a", "b"]


@pytest.mark.parametrize("other", ["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"])
def test_an_index_and_something_else(other, tmp_path):
    index(tmp_path / "model.safetensors.index.json", **SHARDS)
    weights(tmp_path / other)
    found = refusal(tmp_path)
    assert found.code == "several-checkpoints"
    assert "model.safetensors.index.json" in found.message
    assert other in found.message


def test_two_indexes(tmp_path):
    index(tmp_path / "model.safetensors.index.json", **SHARDS)
    index(tmp_path / "pytorch_model.bin.index.json", a="pytorch_model-00001-of-00001.bin")
    assert refusal(tmp_path).code == "several-checkpoints"
    assert list(read(tmp_path / "pytorch_model.bin.index.json").tree) == ["a"]


def test_the_single_file_of_a_variant(tmp_path):
    path = tmp_path / "model.safetensors.index.fp16.json"
    index(path, **SHARDS)
    weights(tmp_path / "model.safetensors")
    assert list(read(path).tree) == ["a", "b"], "another variant is another checkpoint"
    weights(tmp_path / "model.fp16.safetensors")
    assert "model.fp16.safetensors" in refusal(path).message


def test_shards_below_and_shards_without_their_index(tmp_path):
    (tmp_path / "deep").mkdir()
    index(tmp_path / "model.safetensors.index.json", a="deep/one.safetensors")
    assert list(read(tmp_path).tree) == ["a"]
    other = tmp_path / "other"
    other.mkdir()
    for name in SHARDS.values():
        weights(other / name)
    assert refusal(other).code == "shards"


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "circle.index.json"])
def test_indexes_that_name_indexes(name, tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": name}}))
    (tmp_path / "circle.index.json").write_text(json.dumps({"weight_map": {"a": path.name}}))
    assert refusal(path).code == "shards"


def test_a_damaged_index_is_named(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": ')
    found = refusal(tmp_path)
    assert found.code == "corrupt-checkpoint"
    assert "model.safetensors.index.json`" in found.message
