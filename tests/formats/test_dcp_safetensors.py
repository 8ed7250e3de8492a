"""Distributed checkpoints in safetensors: one file for each rank, and no index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter

import surgery
from surgery.diagnostics import SurgeryError
from surgery.formats import FORMATS, read
from surgery.formats.file import open_file
from surgery.tensors.expr import TensorExpr

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled, unavailable or uninitialized")
ROWS, COLUMNS = torch.arange(10.0).reshape(5, 2), torch.arange(8.0).reshape(2, 4)


def part(path: Path, rank: int, tensors: dict[str, tuple[torch.Tensor, list[int]]], **changes: str) -> None:
    """The file of a rank."""
    info = json.dumps({key: {"saved_offsets": at} for key, (_, at) in tensors.items()})
    metadata = {"DCP_SHARDING_INFO": info, "DCP_VERSION": "1.0", "format": "pt", **changes}
    name = f"shard-{rank:05}-model-00001-of-00001.safetensors"
    save_file({key: tensor.contiguous() for key, (tensor, _) in tensors.items()}, path / name, metadata)


@pytest.fixture
def ranks(tmp_path: Path) -> Path:
    """Two ranks: one tensor cut along rows, one along columns, one that only the first has."""
    path = tmp_path / "run"
    path.mkdir()
    part(path, 1, {"a": (ROWS[:3], [0, 0]), "b": (COLUMNS[:, :2], [0, 0]), "c": (torch.tensor(7), [])})
    part(path, 2, {"a": (ROWS[3:], [3, 0]), "b": (COLUMNS[:, 2:], [0, 2])})
    return path


def test_parts_are_joined(ranks: Path, tensor: Callable[[TensorExpr], torch.Tensor]) -> None:
    found = read(ranks)
    assert found.format == "dcp-safetensors"
    assert len(found.files) == 2
    assert found.metadata == {"format": "pt"}
    whole = {key: tensor(expr) for key, expr in found.tree.items()}
    assert torch.equal(whole["a"], ROWS)
    assert torch.equal(whole["b"], COLUMNS)
    assert whole["c"].item() == 7
    # torch reads the same
    state = {key: torch.zeros_like(value) for key, value in whole.items()}
    dcp.load(state, storage_reader=HuggingFaceStorageReader(str(ranks)), no_dist=True)
    assert all(torch.equal(state[key], value) for key, value in whole.items())


def test_one_part_stands_for_all(ranks: Path) -> None:
    """Its tensors alone would go by the names of the whole ones."""
    one = ranks / "shard-00002-model-00001-of-00001.safetensors"
    assert read(one).tree["a"].spec.shape == (5, 2)
    with open_file(one) as file:
        assert [name for name in FORMATS if FORMATS[name].matches(file)] == ["dcp-safetensors"]


def test_what_torch_writes(tmp_path: Path) -> None:
    state: dict[str, Any] = {"a": torch.ones(2, 3), "b": torch.zeros(3)}
    for name, distributed in (("parts", True), ("whole", False)):
        writer = HuggingFaceStorageWriter(str(tmp_path / name), save_distributed=distributed)
        dcp.save(dict(state), storage_writer=writer, no_dist=True)
    assert read(tmp_path / "parts").format == "dcp-safetensors"
    assert read(tmp_path / "whole").format == "sharded-safetensors"


@pytest.mark.parametrize("name", ["run", "whole"])
def test_what_described_the_parts_does_not_go_along(name: str, ranks: Path, tmp_path: Path) -> None:
    writer = HuggingFaceStorageWriter(str(tmp_path / "whole"))
    dcp.save({"a": ROWS}, storage_writer=writer, no_dist=True)
    output = tmp_path / "new.safetensors"
    recipe = {"source": {"checkpoint": str(tmp_path / name)}, "steps": [{"rename": "a -> x"}], "output": str(output)}
    surgery.load(recipe).run()
    assert torch.equal(load_file(output)["x"], ROWS)
    assert b"DCP_" not in output.read_bytes()


def test_a_rank_is_absent(ranks: Path) -> None:
    (ranks / "shard-00001-model-00001-of-00001.safetensors").unlink()
    with pytest.raises(SurgeryError, match="the tensor `a`: its chunks overlap, leave holes or interlock") as error:
        read(ranks)
    assert error.value.diagnostics[0].code == "corrupt-checkpoint"


@pytest.mark.parametrize(
    "info",
    [
        "{",
        "[]",
        "{}",
        '{"a": 3}',
        '{"a": {"saved_offsets": [0]}}',
        '{"a": {"saved_offsets": [-1, 0]}}',
        '{"a": {"saved_offsets": [true, 0]}}',
    ],
)
def test_offsets_that_are_none(info: str, ranks: Path) -> None:
    part(ranks, 2, {"a": (ROWS[3:], [3, 0])}, DCP_SHARDING_INFO=info)
    with pytest.raises(SurgeryError, match="its metadata `DCP_SHARDING_INFO`") as error:
        read(ranks)
    assert error.value.diagnostics[0].code == "corrupt-checkpoint"


def test_parts_that_do_not_agree(ranks: Path) -> None:
    part(ranks, 2, {"a": (ROWS[3:].double(), [3, 0])})
    with pytest.raises(SurgeryError, match="of different dtypes or numbers of dimensions"):
        read(ranks)
    part(ranks, 2, {"a": (ROWS[3:], [1 << 62, 0])})
    with pytest.raises(SurgeryError, match="overlap, leave holes or interlock"):
        read(ranks)


def test_a_name_alone_makes_no_part(tmp_path: Path) -> None:
    path = tmp_path / "shard-00001-model-00001-of-00001.safetensors"
    save_file({"a": torch.ones(2)}, path)
    assert read(path).format == "safetensors"
