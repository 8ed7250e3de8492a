"""What of a checkpoint has a checksum: its format tells, and every flipped bit of it is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch

from surgery.formats import read
from surgery.provenance.checksums import check_contents

ONES = numpy.ones(4, "f4")


def torch_shards(here: Path) -> tuple[Path, Path]:
    torch.save({"a": torch.zeros(3)}, here / "1.bin")
    torch.save({"b": torch.ones(4)}, here / "2.bin")
    index = here / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a": "1.bin", "b": "2.bin"}}))
    return index, here / "2.bin"


def arrays(here: Path) -> tuple[Path, Path]:
    numpy.savez(here / "a.npz", a=ONES)
    return here / "a.npz", here / "a.npz"


@pytest.mark.parametrize(("make", "name"), [(torch_shards, "2/data/0"), (arrays, "a.npy")])
def test_a_flipped_bit(tmp_path: Path, make: Callable[[Path], tuple[Path, Path]], name: str) -> None:
    path, file = make(tmp_path)
    checked = list(check_contents(read(path)))
    assert all(one.ok for one in checked)
    assert name in [one.name for one in checked]
    raw = bytearray(file.read_bytes())
    raw[raw.index(ONES.tobytes())] ^= 1
    file.write_bytes(raw)
    assert [one.name for one in check_contents(read(path)) if not one.ok] == [name]


def test_what_is_compressed(tmp_path: Path) -> None:
    numpy.savez_compressed(tmp_path / "a.npz", a=ONES)
    assert [(one.name, one.ok) for one in check_contents(read(tmp_path / "a.npz"))] == [("a.npy", True)]
