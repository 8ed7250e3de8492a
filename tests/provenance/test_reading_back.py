"""Files that carry a record are what they were to everybody else."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from surgery.formats.additions import CHECKSUMS, MEMBER, RECORD
from surgery.provenance.reading import read_record

RENAME = 'source: {checkpoint: in.safetensors}\nsteps: [{rename: "module.** -> **"}]\noutput: '
KEYS = {"a.weight", "a.bias", "b.weight"}


@pytest.mark.parametrize("mmap", [None, True])
@pytest.mark.parametrize("weights_only", [True, False])
def test_torch(run, mmap, weights_only):
    run(RENAME + "out.pth\n")
    assert torch.load("out.pth", weights_only=weights_only, mmap=mmap).keys() == KEYS
    reader = torch._C.PyTorchFileReader("out.pth")
    assert json.loads(reader.get_record(MEMBER)) == read_record("out.pth").to_json()


@pytest.mark.parametrize("weights_only", [True, False])
def test_torch_before_1_6(run, weights_only):
    run(RENAME + "{path: out.pt, format: torch-legacy}\n")
    assert torch.load("out.pt", weights_only=weights_only).keys() == KEYS
    assert "rename" in read_record("out.pt").recipe


def test_what_torch_writes_again_has_no_record(run):
    run(RENAME + "out.pth\n")
    torch.save(torch.load("out.pth"), "again.pth")
    assert not [name for name in torch._C.PyTorchFileReader("again.pth").get_all_records() if MEMBER in name]


def test_a_distributed_checkpoint(run):
    from torch.distributed.checkpoint import load

    run(RENAME + "{path: out, format: dcp}\n")
    state = {"b.weight": torch.zeros(10, 2, dtype=torch.int64)}
    load(state, checkpoint_id="out", no_dist=True)
    assert state["b.weight"][9, 1] == 19
    assert "rename" in read_record("out").recipe


def test_safetensors(run):
    run(RENAME + "out.safetensors\n")
    assert load_file("out.safetensors").keys() == KEYS
    with safe_open("out.safetensors", "pt") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["license"]) == ("pt", "mit")
    assert metadata.keys() - {"format", "license"} == {RECORD, CHECKSUMS}


@pytest.mark.parametrize("digest", [False, True])
def test_shards_keep_it_in_their_index(run, digest):
    run(RENAME + "{path: out/, shard_size: 60}\n", digest=digest)
    index = json.loads(Path("out/model.safetensors.index.json").read_text())
    assert index["metadata"].keys() == {RECORD, "total_size"}
    assert {key for path in Path("out").glob("*.safetensors") for key in load_file(path)} == KEYS
    for path in Path("out").glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            assert RECORD not in file.metadata()
