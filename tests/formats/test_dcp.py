"""Distributed checkpoints: what torch saves is read without torch, whatever way its tensors are cut into chunks."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

import surgery
from surgery.diagnostics import SurgeryError
from surgery.formats import FORMATS, read
from surgery.formats.entries import candidates, choose
from surgery.formats.file import open_file
from surgery.tensors.expr import Computed, Stored, TensorExpr

Boxes = Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled, unavailable or uninitialized")

DTYPES = [
    *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8"),
    *("uint64", "uint32", "uint16", "uint8", "bool", "complex128", "complex64"),
]


def save(state: Mapping[str, Any], path: Path) -> Path:
    """What a program with one process saves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(dict(state), checkpoint_id=path, no_dist=True)
    return path


def save_chunks(tensors: Mapping[str, tuple[torch.Tensor, Boxes]], path: Path, **others: Any) -> Path:
    """What many processes save: each box of each tensor in a file of its own rank, and the metadata of all."""
    path.mkdir()
    entries: dict[str, Any] = {}
    items: dict[Any, Any] = {}
    for name, (tensor, boxes) in tensors.items():
        chunks = [ChunkStorageMetadata(torch.Size(at), torch.Size(sizes)) for at, sizes in boxes]
        entries[name] = TensorStorageMetadata(TensorProperties(dtype=tensor.dtype), tensor.size(), chunks)
        for rank, (at, sizes) in enumerate(boxes):
            piece = tensor[tuple(slice(a, a + size) for a, size in zip(at, sizes, strict=True))].clone()
            items[MetadataIndex(name, at, rank)] = append(path / f"__{rank}_0.distcp", piece)
    for name, value in others.items():
        entries[name] = BytesStorageMetadata()
        items[MetadataIndex(name)] = append(path / "__0_0.distcp", value)
    paths = {name: tuple(name.split(".", 1)) for name in entries}
    write_metadata(path, Metadata(entries, paths, items, version="1.0.0"))
    return path


def append(file: Path, value: Any) -> _StorageInfo:
    with file.open("ab") as stream:
        start = stream.tell()
        torch.save(value, stream)
        return _StorageInfo(file.name, start, stream.tell() - start)


def write_metadata(path: Path, metadata: Any) -> None:
    (path / ".metadata").write_bytes(pickle.dumps(metadata))


def grid(shape: Sequence[int], *cuts: Sequence[int]) -> Boxes:
    """The boxes between cuts along each dimension."""
    edges = [[0, *cut, size] for cut, size in zip(cuts, shape, strict=True)]
    spans = [[(a, b - a) for a, b in itertools.pairwise(edge)] for edge in edges]
    return [(tuple(at for at, _ in box), tuple(size for _, size in box)) for box in itertools.product(*spans)]


def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


Same = Callable[[Any, torch.Tensor], bool]
ToTensor = Callable[[TensorExpr], torch.Tensor]


@pytest.fixture(scope="module")
def value(tensor: ToTensor) -> ToTensor:
    """The tensor of an expression, a join of chunks included."""

    def of(expr: TensorExpr) -> torch.Tensor:
        if isinstance(expr, Computed):
            (made,) = expr.operation.apply([of(part) for part in expr.inputs], 1)
            return made
        return tensor(expr)

    return of


def test_what_one_process_saves(tmp_path: Path, tensor: ToTensor, same: Same) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "names": ["cat", "dog"],
        "rng": torch.get_rng_state(),
        "nested": {"list": [1, {"deep": torch.ones(2)}], "empty": []},
    }
    found = read(save(state, tmp_path / "run"))
    assert found.format == "dcp"
    assert found.files.keys() == {str(tmp_path / "run" / name) for name in (".metadata", "__0_0.distcp")}
    assert found.tree["epoch"] == 3
    assert found.tree["names"] == ["cat", "dog"]
    assert found.tree["nested"]["empty"] == []
    assert found.tree["nested"]["list"][0] == 1
    assert same(tensor(found.tree["nested"]["list"][1]["deep"]), torch.ones(2))
    assert same(tensor(found.tree["rng"]), state["rng"])
    (group,) = found.tree["optimizer"]["param_groups"]
    assert (group["lr"], group["betas"], group["params"]) == (0.5, (0.9, 0.999), [0, 1, 2, 3])
    states = found.tree["optimizer"]["state"]
    assert list(states) == [0, 1, 2, 3]
    assert same(tensor(states[0]["exp_avg"]), optimizer.state_dict()["state"][0]["exp_avg"])
    assert [candidate.entry for candidate in candidates(found.tree)] == [("model",), ("nested", "list", "1")]
    chosen = choose(found, "model")
    assert list(chosen.tensors) == list(model.state_dict())
    assert all(same(tensor(chosen.tensors[key]), value) for key, value in model.state_dict().items())


def test_all_dtypes_scalars_and_empty_tensors(tmp_path: Path, tensor: ToTensor, same: Same) -> None:
    state = {}
    for name in DTYPES:
        dtype = getattr(torch, name)
        state[name] = torch.randint(0, 2, (24,), dtype=torch.uint8).repeat_interleave(dtype.itemsize).view(dtype)
        state[f"{name}_scalar"] = state[name][3].clone()
        state[f"{name}_empty"] = torch.zeros(0, 3, dtype=dtype)
    found = read(save(state, tmp_path / "run"))
    assert list(found.tree) == list(state)
    assert all(same(tensor(found.tree[key]), value) for key, value in state.items())


def test_strides_and_parts_of_storages(tmp_path: Path, tensor: ToTensor, same: Same) -> None:
    whole = numbers(6, 4)
    state = {"transposed": whole.t(), "part": whole[1:3, 1:], "expanded": torch.ones(1).expand(5)}
    found = read(save(state, tmp_path / "run"))
    assert all(same(tensor(found.tree[key]), value) for key, value in state.items())


def test_names_that_were_not_flattened(tmp_path: Path) -> None:
    from torch.distributed.checkpoint import DefaultSavePlanner

    dcp.save(
        {"a.b": torch.ones(2), "a.c": 1},
        checkpoint_id=tmp_path / "run",
        no_dist=True,
        planner=DefaultSavePlanner(flatten_state_dict=False),
    )
    found = read(tmp_path / "run")
    assert list(found.tree) == ["a.b", "a.c"]
    assert found.tree["a.c"] == 1


SHARDED = {
    "along the first dimension": ((10, 4), ((2, 5, 9), ())),
    "along the second": ((10, 4), ((), (1, 3))),
    "along both": ((10, 4), ((3, 7), (2,))),
    "along the last of three": ((3, 4, 5), ((), (), (2, 4))),
    "along the middle one": ((3, 4, 5), ((), (1,), ())),
    "along all of three": ((3, 4, 5), ((1, 2), (2,), (3,))),
    "in ones": ((6,), ((1, 2, 3, 4, 5),)),
    "not at all": ((6, 2), ((), ())),
}


@pytest.mark.parametrize("case", SHARDED)
@pytest.mark.parametrize("order", ["as they are", "reversed"])
def test_chunks(case: str, order: str, tmp_path: Path, value: ToTensor, same: Same) -> None:
    shape, cuts = SHARDED[case]
    boxes = list(grid(shape, *cuts))
    if order == "reversed":
        boxes.reverse()
    whole = numbers(*shape)
    found = read(save_chunks({"model.w": (whole, boxes)}, tmp_path / "run", epoch=7))
    assert found.tree["epoch"] == 7
    assert found.tree["model"]["w"].spec.shape == shape
    assert same(value(found.tree["model"]["w"]), whole)


def test_boxes_of_different_sizes(tmp_path: Path, value: ToTensor, same: Same) -> None:
    whole = numbers(6, 6)
    boxes = [((0, 0), (2, 6)), ((2, 0), (4, 1)), ((2, 1), (1, 5)), ((3, 1), (3, 2)), ((3, 3), (3, 3))]
    found = read(save_chunks({"w": (whole, boxes)}, tmp_path / "run"))
    assert same(value(found.tree["w"]), whole)


def test_along_the_first_dimension_no_byte_is_computed(tmp_path: Path, tensor: ToTensor, same: Same) -> None:
    whole = numbers(300, 2)
    boxes = grid((300, 2), range(1, 300), ())
    expr = read(save_chunks({"w": (whole, boxes)}, tmp_path / "run")).tree["w"]
    assert isinstance(expr, Stored)
    assert same(tensor(expr), whole)


def test_along_another_dimension_few_or_long_runs_stay_ranges(tmp_path: Path) -> None:
    few, many = numbers(8, 4), numbers(200, 4)
    tensors = {"few": (few, grid((8, 4), (), (2,))), "many": (many, grid((200, 4), (), (2,)))}
    tree = read(save_chunks(tensors, tmp_path / "run")).tree
    assert isinstance(tree["few"], Stored)
    assert isinstance(tree["many"], Computed)


def test_empty_chunks_count_for_nothing(tmp_path: Path, tensor: ToTensor, same: Same) -> None:
    """A tensor with fewer rows than there are ranks leaves some without any."""
    whole = numbers(2, 3)
    boxes = [((0, 0), (1, 3)), ((1, 0), (1, 3)), ((2, 0), (0, 3))]
    assert same(tensor(read(save_chunks({"w": (whole, boxes)}, tmp_path / "run")).tree["w"]), whole)


def test_what_is_the_same_bytes_is_tied(tmp_path: Path) -> None:
    path = save({"a": torch.ones(2), "b": torch.zeros(2), "c": torch.ones(2)}, tmp_path / "run")
    metadata = pickle.loads((path / ".metadata").read_bytes())
    items = {index.fqn: index for index in metadata.storage_data}
    metadata.storage_data[items["c"]] = metadata.storage_data[items["a"]]
    write_metadata(path, metadata)
    tree = read(path).tree
    assert tree["a"] is tree["c"]
    assert tree["a"] is not tree["b"]


def test_tied_tensors_in_chunks(tmp_path: Path) -> None:
    boxes = grid((4, 2), (2,), ())
    path = save_chunks({"a": (numbers(4, 2), boxes), "b": (numbers(4, 2), boxes)}, tmp_path / "run")
    metadata = pickle.loads((path / ".metadata").read_bytes())
    for index in list(metadata.storage_data):
        if index.fqn == "b":
            metadata.storage_data[index] = metadata.storage_data[MetadataIndex("a", index.offset)]
    write_metadata(path, metadata)
    tree = read(path).tree
    assert tree["a"] is tree["b"]


def test_objects_are_not_made(tmp_path: Path) -> None:
    from argparse import Namespace

    found = read(save({"w": torch.ones(1), "args": Namespace(lr=0.1)}, tmp_path / "run"))
    assert str(found.tree["args"]) == "argparse.Namespace"
    assert found.tree["args"].state == {"lr": 0.1}


def test_tensors_that_are_not_read_are_entries_too(tmp_path: Path) -> None:
    path = save({"w": torch.ones(2), "s": torch.ones(3)}, tmp_path / "run")
    metadata = pickle.loads((path / ".metadata").read_bytes())
    index = next(index for index in metadata.storage_data if index.fqn == "s")
    metadata.storage_data[index] = append(path / "__0_1.distcp", torch.eye(3).to_sparse())
    write_metadata(path, metadata)
    found = read(path)
    assert str(choose(found, ".").tensors["s"].spec) == "sparse_coo float32 [3, 3]"


def test_it_is_of_one_format_and_torch_is_not_imported(tmp_path: Path) -> None:
    path = save({"model": {"w": torch.ones(2)}}, tmp_path / "run")
    with open_file(path / ".metadata") as file:
        assert [name for name in FORMATS if FORMATS[name].matches(file)] == ["dcp"]
    program = f"import sys; from surgery.formats import read; read({str(path)!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_which_checkpoint_of_a_directory(tmp_path: Path) -> None:
    path = save({"w": torch.ones(2)}, tmp_path / "run")
    torch.save({"x": torch.ones(1)}, path / "rng_state_0.pth")
    assert read(path).format == "dcp"
    assert read(path / ".metadata").path == str(path / ".metadata")
    (path / "model.safetensors").touch()
    with pytest.raises(SurgeryError, match=r"holds several checkpoints: `\.metadata`, `model\.safetensors`"):
        read(path)


def test_a_file_of_it_is_no_checkpoint(tmp_path: Path) -> None:
    path = save({"w": torch.ones(2), "v": torch.ones(3)}, tmp_path / "run")
    with pytest.raises(SurgeryError, match="is one of the files of a distributed checkpoint"):
        read(path / "__0_0.distcp")
    (path / ".metadata").unlink()
    with pytest.raises(SurgeryError, match=r"no `\.metadata` that says what is in them"):
        read(path)


def test_ranks_that_saved_on_their_own(tmp_path: Path) -> None:
    path = save({"w": torch.ones(2)}, tmp_path / "run")
    os.rename(path / ".metadata", path / "__0.metadata")
    assert read(path).tree.keys() == {"w"}
    (path / "__1.metadata").write_bytes((path / "__0.metadata").read_bytes())
    with pytest.raises(SurgeryError, match="several checkpoints"):
        read(path)
    assert read(path / "__1.metadata").tree.keys() == {"w"}


def test_metadata_as_older_releases_wrote_it(tmp_path: Path) -> None:
    """The classes of the properties and the metadata have moved, and there were no versions."""
    path = save({"model": {"w": torch.ones(2)}}, tmp_path / "run")
    content = pickle.dumps(pickle.loads((path / ".metadata").read_bytes()), protocol=2)
    for new, old in (
        (
            b"ctorch.distributed.checkpoint.metadata\nTensorProperties",
            b"ctorch.distributed._shard.metadata\nTensorProperties",
        ),
        (
            b"ctorch.distributed.checkpoint.metadata\nMetadata\n",
            b"ctorch.distributed._shard.checkpoint.metadata\nMetadata\n",
        ),
    ):
        assert new in content
        content = content.replace(new, old)
    (path / ".metadata").write_bytes(content)
    assert read(path).tree["model"].keys() == {"w"}


TWO_RANKS = """
import sys
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

rank, port, path, given = int(sys.argv[1]), *sys.argv[2:]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
numbers = lambda *shape: torch.arange(float(torch.Size(shape).numel())).reshape(shape)
state = {
    "rows": distribute_tensor(numbers(5, 3), mesh, [Shard(0)]),
    "columns": distribute_tensor(numbers(100, 6), mesh, [Shard(1)]),
    "whole": distribute_tensor(numbers(4), mesh, [Replicate()]),
    "one row": distribute_tensor(numbers(1, 3), mesh, [Shard(0)]),
    "plain": numbers(2, 2),
}
dcp.save({"model": state, "step": 11}, checkpoint_id=path)

# what was written in one piece is cut for these ranks
rows, columns = (distribute_tensor(torch.zeros(5, 4), mesh, [Shard(dim)]) for dim in (0, 1))
dcp.load({"rows": rows, "columns": columns}, checkpoint_id=given)
assert torch.equal(rows.full_tensor(), numbers(5, 4))
assert torch.equal(columns.full_tensor(), 2 * numbers(5, 4))
dist.destroy_process_group()
"""


def test_two_ranks(tmp_path: Path, value: ToTensor, same: Same) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    given = {"rows": numbers(5, 4), "columns": 2 * numbers(5, 4)}
    surgery.load({"output": {"path": str(tmp_path / "given"), "format": "dcp"}}).run(state_dict=given)
    (tmp_path / "train.py").write_text(TWO_RANKS)
    arguments = [port, str(tmp_path / "run"), str(tmp_path / "given")]
    ranks = [subprocess.Popen([sys.executable, str(tmp_path / "train.py"), rank, *arguments]) for rank in ("0", "1")]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    assert (tmp_path / "run" / "__1_0.distcp").exists()
    tree = read(tmp_path / "run").tree
    assert tree["step"] == 11
    wanted = {
        "rows": numbers(5, 3),
        "columns": numbers(100, 6),
        "whole": numbers(4),
        "one row": numbers(1, 3),
        "plain": numbers(2, 2),
    }
    assert tree["model"].keys() == wanted.keys()
    assert all(same(value(tree["model"][key]), whole) for key, whole in wanted.items())


def test_a_recipe_from_chunks(tmp_path: Path) -> None:
    """What is planned is what is written, joins of chunks included."""
    wide, long = numbers(200, 4), numbers(10, 4)
    tensors = {"model.wide": (wide, grid((200, 4), (), (2,))), "model.long": (long, grid((10, 4), (4,), ()))}
    save_chunks(tensors, tmp_path / "run", step=3)
    recipe = surgery.load(
        {
            "source": {"checkpoint": str(tmp_path / "run")},
            "steps": [{"rename": "wide -> a.weight"}],
            "output": str(tmp_path / "out.safetensors"),
        }
    )
    plan = recipe.plan()
    planned = {key: entry.spec for key, entry in plan.subject.entries.items()}
    plan.execute()
    from safetensors.torch import load_file

    written = load_file(tmp_path / "out.safetensors")
    assert {key: (spec.shape, spec.dtype.name) for key, spec in planned.items()} == {
        key: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for key, tensor in written.items()
    }
    assert torch.equal(written["a.weight"], wide)
    assert torch.equal(written["long"], long)


def test_load_from_a_directory(tmp_path: Path) -> None:
    save({"model": {"module.weight": numbers(2, 3), "module.bias": numbers(2)}}, tmp_path / "run")
    load = {"from": {"checkpoint": str(tmp_path / "run")}, "steps": [{"rename": "module.** -> **"}]}
    linear = torch.nn.Linear(3, 2)
    result = surgery.load({"source": {"given": "model"}, "steps": [{"load": load}]}).run(model=linear)
    assert torch.equal(result.model.weight, numbers(2, 3))


def test_optimizers_by_name_follow(tmp_path: Path) -> None:
    """As ``torch.distributed.checkpoint.state_dict.get_state_dict`` names the parameters."""
    from torch.distributed.checkpoint.state_dict import get_state_dict

    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    weights, state = get_state_dict(model, optimizer)
    save({"model": weights, "optim": state}, tmp_path / "run")
    recipe = {
        "source": {"checkpoint": str(tmp_path / "run")},
        "steps": [{"filter": {"keep": "0.**"}}, {"rename": "0 -> body.0"}],
        "output": {"path": str(tmp_path / "new"), "format": "dcp", "container": "keep"},
    }
    surgery.load(recipe).run()
    tree = read(tmp_path / "new").tree
    assert tree["model"].keys() == {"body.0.weight", "body.0.bias"}
    assert tree["optim"]["state"].keys() == {"body.0.weight", "body.0.bias"}
    assert tree["optim"]["param_groups"][0]["params"] == ["body.0.weight", "body.0.bias"]
