"""Distributed checkpoints that are written without torch, read by ``torch.distributed.checkpoint``."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

import surgery
from surgery.diagnostics import SurgeryError
from surgery.formats import read
from surgery.formats.contents import Rest
from surgery.formats.entries import choose
from surgery.sinks.base import Output
from surgery.sinks.target import resolve
from surgery.tensors.subject import Entry, Subject

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled, unavailable or uninitialized")


def load(path: Path) -> dict[str, Any]:
    """Everything in a directory, as torch reads it, nested as it was."""
    state: dict[str, Any] = {}
    _load_state_dict(state, storage_reader=FileSystemReader(path), planner=_EmptyStateDictLoadPlanner(), no_dist=True)
    return state


def metadata(path: Path) -> Metadata:
    found: Metadata = FileSystemReader(path).read_metadata()
    return found


def subject_of(path: Path, entry: str | None = None) -> Subject:
    """A checkpoint as its source gives it."""
    found = read(path)
    state = choose(found, entry)
    rest = Rest(found.tree, state.entry, state.extra, state.metadata, found.traits)
    return Subject({key: Entry(tensor) for key, tensor in state.tensors.items()}, rest=rest)


@pytest.mark.parametrize("source", ["held", "stored"])
def test_every_dtype_comes_back_bit_for_bit(source, request, all_dtypes, write, same):
    # torch cannot make an empty tensor of complex32 without a warning, and has no `copy_` of the last one
    wanted = {key: tensor for key, tensor in all_dtypes.items() if "e8m0fnu" not in key and "complex32" not in key}
    path = write(request.getfixturevalue(source)(wanted), "run", format="dcp")
    assert sorted(file.name for file in path.iterdir()) == [".metadata", "__0_0.distcp"]
    same(load(path), wanted)


@pytest.mark.parametrize("dtype", ["float8_e8m0fnu", "complex32"])
def test_rare_dtypes_are_read_back_here(dtype, held, write, make):
    path = write(held({"w": make(dtype, (3, 2))}), "run", format="dcp")
    assert str(read(path).tree["w"].spec) == f"{dtype} [3, 2]"


def test_into_a_model(held, write):
    """The keys of a state dict with a dot in them, and a place for each tensor."""
    given, model = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    path = write(held({f"model.{key}": value.data for key, value in given.named_parameters()}), "run", format="dcp")
    state = {f"model.{key}": value for key, value in model.state_dict().items()}
    dcp.load(state, checkpoint_id=path, no_dist=True)
    assert torch.equal(model.weight, given.weight)
    assert torch.equal(model.bias, given.bias)


def test_the_rest_travels_along_and_torch_reads_it(tmp_path, write, same):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.25)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": 3,
            "shapes": [(2, 3), (4,)],
            "log": [{"loss": 0.5}, {"loss": 0.25}],
            "pair": (torch.ones(2), "x"),
        },
        tmp_path / "run.pth",
    )
    path = write(subject_of(tmp_path / "run.pth", "model"), "run", format="dcp", container="keep")
    found = load(path)
    same(found["model"], model.state_dict())
    assert (found["epoch"], found["shapes"], found["log"]) == (3, [(2, 3), (4,)], [{"loss": 0.5}, {"loss": 0.25}])
    assert torch.equal(found["pair"][0], torch.ones(2))
    same(found["optimizer"]["state"]["1"], optimizer.state_dict()["state"][1])
    assert found["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    # what torch itself would have saved has the same names, in the same nesting
    dcp.save(torch.load(tmp_path / "run.pth"), checkpoint_id=tmp_path / "torch", no_dist=True)
    assert metadata(path).planner_data == metadata(tmp_path / "torch").planner_data
    assert metadata(path).state_dict_metadata == metadata(tmp_path / "torch").state_dict_metadata


def test_there_and_back(tmp_path, write, same):
    state = {"model": {"a.w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, "step": 7, "tags": ["x"]}
    dcp.save(dict(state), checkpoint_id=tmp_path / "torch", no_dist=True)
    path = write(subject_of(tmp_path / "torch", "model"), "run", format="dcp", container="keep")
    found = load(path)
    same(found["model"], state["model"])
    assert (found["step"], found["tags"]) == (7, ["x"])
    dcp_to_torch_save(path, tmp_path / "one.pt")
    same(torch.load(tmp_path / "one.pt", weights_only=True)["model"], state["model"])


def test_an_entry_in_a_new_container(held, write):
    path = write(held({"w": torch.ones(2)}), "run", format="dcp", container="keep", entry="state.model")
    assert load(path)["state"]["model"]["w"].tolist() == [1, 1]


def test_tied_tensors_are_written_once_and_stay_tied(held, write):
    shared = torch.arange(100_000.0)
    path = write(held({"wte": shared, "b": torch.ones(2), "lm_head": shared}), "run", format="dcp")
    assert (path / "__0_0.distcp").stat().st_size < 1.5 * shared.nbytes
    found = load(path)
    assert torch.equal(found["wte"], shared)
    assert torch.equal(found["lm_head"], shared)
    tree = read(path).tree
    assert tree["wte"] is tree["lm_head"]
    assert list(tree) == ["wte", "b", "lm_head"]


def test_files_of_a_size(held, write, same):
    tensors = {f"w{i}": torch.full((1000,), float(i)) for i in range(5)}
    path = write(held(tensors), "run", format="dcp", shard_size=8000)
    names = sorted(file.name for file in path.iterdir())
    assert names == [".metadata", "__0_0.distcp", "__0_1.distcp", "__0_2.distcp"]
    same(load(path), tensors)


def test_it_is_the_same_each_time(held, write):
    tensors = {"a": torch.arange(4.0), "b": torch.ones(2, 2, dtype=torch.bfloat16)}
    first, second = (write(held(dict(tensors)), name, format="dcp") for name in ("one", "two"))
    for name in (".metadata", "__0_0.distcp"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_subject_without_tensors(write):
    assert load(write(Subject({}), "run", format="dcp")) == {}


def test_non_contiguous_tensors_are_written_as_their_elements_stand(held, write):
    path = write(held({"t": torch.arange(6.0).reshape(2, 3).t()}), "run", format="dcp")
    assert load(path)["t"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_arrays_of_numpy(tmp_path, held, write):
    """An array in the state dict is a tensor; one in the rest of a checkpoint stays what it is."""
    assert torch.equal(load(write(held({"w": numpy.ones(2)}), "one", format="dcp"))["w"], torch.ones(2).double())
    torch.save({"model": {"w": torch.ones(2)}, "mean": numpy.arange(3.0)}, tmp_path / "run.pth")
    path = write(subject_of(tmp_path / "run.pth", "model"), "two", format="dcp", container="keep")
    assert load(path)["mean"].tolist() == [0, 1, 2]
    assert isinstance(load(path)["mean"], numpy.ndarray)


def test_objects_are_written_as_they_stood(tmp_path, write):
    from argparse import Namespace

    torch.save({"model": {"w": torch.ones(2)}, "args": Namespace(lr=0.5, shape=[1, 2])}, tmp_path / "run.pth")
    path = write(subject_of(tmp_path / "run.pth", "model"), "run", format="dcp", container="keep")
    assert load(path)["args"] == Namespace(lr=0.5, shape=[1, 2])


def test_what_has_no_place_is_told(tmp_path):
    torch.save({"model": {"w": torch.ones(2)}, "scaler": {}, "list": [1, {"a": {}}]}, tmp_path / "run.pth")
    output = {"path": str(tmp_path / "run"), "format": "dcp", "container": "keep"}
    source = {"checkpoint": {"path": str(tmp_path / "run.pth"), "entry": "model"}}
    recipe = surgery.load({"source": source, "output": output})
    (written,) = recipe.run().written
    assert written.notes == (
        "left out, since a distributed checkpoint has no place for empty mappings: `scaler`, `list.1.a`",
    )


def test_two_entries_with_one_name(tmp_path, write):
    torch.save({"model": {"w": torch.ones(2)}, "a.b": 1, "a": {"b": 2}}, tmp_path / "run.pth")
    subject = subject_of(tmp_path / "run.pth", "model")
    with pytest.raises(SurgeryError, match=r"two entries would both be `a\.b`"):
        write(subject, "run", format="dcp", container="keep")
    assert load(write(subject, "run", format="dcp")).keys() == {"w"}


def test_containers_that_hold_themselves(write):
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(SurgeryError, match="too-large"):
        write(Subject({}, rest=Rest({"model": {}, "loop": loop}, ("model",))), "run", format="dcp", container="keep")
    doubled: list[Any] = [{}]
    for _ in range(60):
        doubled = [doubled, doubled]
    with pytest.raises(SurgeryError, match="too-large"):
        write(Subject({}, rest=Rest({"model": {}, "many": doubled}, ("model",))), "run", format="dcp", container="keep")


def test_no_place_for_metadata(held, write):
    with pytest.raises(SurgeryError, match="has no place for `metadata`"):
        write(held({"w": torch.ones(2)}), "run", format="dcp", metadata={"author": "Ada"})


def test_a_record_of_what_made_it_stands_beside(held, write):
    path = write(held({"w": torch.ones(2)}), "run", format="dcp", provenance='{"recipe": "…"}')
    assert read(path).metadata == {"surgery.provenance": '{"recipe": "…"}'}
    assert load(path).keys() == {"w"}


def test_what_torch_saved_is_replaced_and_nothing_else(tmp_path, held, write):
    dcp.save({"old": torch.ones(2)}, checkpoint_id=tmp_path / "run", no_dist=True)
    (tmp_path / "run" / "__7_0.distcp").touch()
    with pytest.raises(SurgeryError, match="is already there"):
        write(held({"w": torch.ones(2)}), tmp_path / "run", format="dcp")
    write(held({"w": torch.ones(2)}), tmp_path / "run", format="dcp", overwrite=True)
    assert load(tmp_path / "run").keys() == {"w"}
    assert not (tmp_path / "run" / "__7_0.distcp").exists()
    (tmp_path / "run" / "notes.txt").touch()
    with pytest.raises(SurgeryError, match=r"holds what would be lost: `notes\.txt`"):
        write(held({"w": torch.ones(2)}), tmp_path / "run", format="dcp", overwrite=True)


def test_in_place(tmp_path):
    """Input and output may be the same directory."""
    dcp.save({"model": {"module.w": torch.arange(4.0)}, "step": 5}, checkpoint_id=tmp_path / "run", no_dist=True)
    output = {"path": str(tmp_path / "run"), "format": "dcp", "container": "keep", "overwrite": True}
    source = {"checkpoint": str(tmp_path / "run")}
    surgery.load({"source": source, "steps": [{"rename": "module.** -> **"}], "output": output}).run()
    found = load(tmp_path / "run")
    assert found["model"]["w"].tolist() == [0, 1, 2, 3]
    assert found["step"] == 5


def test_the_archives_share_blocks_with_their_source(stored, write):
    """A large tensor stands in its block of the file as it stood in the source, whatever is before it."""
    tensors = {"small": torch.ones(15), "large": torch.arange(300_000.0), "other": torch.ones(5)}
    subject = stored(tensors)
    path = write(subject, "run", format="dcp")
    (source,) = subject.entries["large"].expr.ranges
    (copied,) = read(path).tree["large"].ranges
    assert source.offset == 64
    assert copied.offset % 4096 == 64
    assert all(read(path).tree[key].ranges[0].offset % 64 == 0 for key in tensors)


def test_metadata_is_what_torch_writes(held, tmp_path, write):
    tensors = {"a": torch.ones(2, 3), "b": torch.ones((), dtype=torch.bfloat16), "c": torch.zeros(0, 2).long()}
    found = metadata(write(held(tensors), "run", format="dcp"))
    dcp.save(dict(tensors), checkpoint_id=tmp_path / "torch", no_dist=True)
    wanted = metadata(tmp_path / "torch")
    assert found.state_dict_metadata == wanted.state_dict_metadata
    assert found.planner_data == wanted.planner_data
    assert found.storage_data.keys() == wanted.storage_data.keys()
    assert [index.index for index in found.storage_data] == [index.index for index in wanted.storage_data]
    assert found.version == wanted.version
    raw = pickle.loads((tmp_path / "out" / "run" / ".metadata").read_bytes())
    assert vars(raw).keys() == vars(wanted).keys()


def test_it_is_a_directory():
    for output in (Output("run", format="dcp"), Output("run/", format="dcp"), Output("run.v2", format="dcp")):
        target = resolve(output, Path("/base"))
        assert (target.format, target.request.directory) == ("dcp", True)
    with pytest.raises(SurgeryError, match="is written as a directory, and the path is named as a file"):
        resolve(Output("run.pt", format="dcp"), Path("/base"))
