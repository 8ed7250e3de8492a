"""Damaged files of every format: one typed error, or exactly the right bytes. Never another exception, nor a hang."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable

import numpy
import pytest
import safetensors.torch
import torch

from surgery.diagnostics import SurgeryError
from surgery.formats import read
from surgery.formats.entries import choose
from surgery.tensors.expr import TensorExpr

MUTATIONS = int(os.environ.get("SURGERY_FUZZ", "400"))


def _tensors():
    torch.manual_seed(0)
    return {"a": torch.randn(3, 2), "b.c": torch.arange(5), "d": torch.randn(2, 3).t()}


def _torch(path):
    torch.save({"epoch": 3, "state_dict": _tensors(), "args": {1: "x"}}, path)


def _unchecked(path):
    """Without checksums, so that mutations reach the pickle."""
    torch.serialization.set_crc32_options(False)
    try:
        _torch(path)
    finally:
        torch.serialization.set_crc32_options(True)


def _legacy(path):
    torch.save({"epoch": 3, "state_dict": _tensors()}, path, _use_new_zipfile_serialization=False)


def _safetensors(path):
    safetensors.torch.save_file({key: value.contiguous() for key, value in _tensors().items()}, path, {"a": "b"})


def _arrays():
    return {key: value.numpy() for key, value in _tensors().items()}


def _npz(path):
    with open(path, "wb") as file:
        numpy.savez(file, **_arrays())


def _compressed(path):
    with open(path, "wb") as file:
        numpy.savez_compressed(file, **_arrays())


def _pickle(path):
    path.write_bytes(pickle.dumps({"model": _arrays(), "author": "x"}, 4))


def _old_pickle(path):
    path.write_bytes(pickle.dumps(_arrays(), 0))


def _pickle_of_tensors(path):
    path.write_bytes(pickle.dumps(_tensors(), 4))


def _module(path):
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), path)


WRITERS = [
    _torch,
    _unchecked,
    _legacy,
    _safetensors,
    _npz,
    _compressed,
    _pickle,
    _old_pickle,
    _pickle_of_tensors,
    _module,
]


@pytest.fixture
def outcome(tensor, damaged) -> Callable[[object], dict[str, bytes] | None]:
    """What reading a file gives: the bytes of its tensors by key, or None where it is refused."""

    def outcome(path):
        try:
            found = choose(read(path)).tensors
            return {key: _bytes(tensor(value)) for key, value in found.items() if isinstance(value, TensorExpr)}
        except (SurgeryError, damaged):
            return None

    return outcome


def _bytes(value: torch.Tensor) -> bytes:
    return bytes(value.contiguous().reshape(-1).view(torch.uint8).numpy())


@pytest.mark.parametrize("write", WRITERS, ids=lambda f: f.__name__.strip("_"))
def test_every_truncation_is_refused(write, tmp_path, outcome):
    whole = tmp_path / "whole"
    write(whole)
    raw, path = whole.read_bytes(), tmp_path / "cut"
    for length in range(0, len(raw), 1 if len(raw) < 2000 else 3):
        path.write_bytes(raw[:length])
        assert outcome(path) is None, length


@pytest.mark.parametrize("write", [_torch, _module], ids=lambda f: f.__name__.strip("_"))
def test_every_flipped_byte_of_a_torch_zip_is_refused_or_harmless(write, tmp_path, outcome):
    """The format has checksums, so whatever is read is right; keys, shapes and dtypes too, which are in the pickle."""
    whole = tmp_path / "whole"
    write(whole)
    expected = outcome(whole)
    assert expected
    raw, path = whole.read_bytes(), tmp_path / "flipped"
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :])
        assert outcome(path) in (None, expected), at


def test_every_flipped_byte_of_a_safetensors_file_changes_no_size(tmp_path, outcome):
    """Without checksums a name or a number can change unseen (`sha256` finds that); bytes never move."""
    whole = tmp_path / "whole"
    _safetensors(whole)
    raw, path = whole.read_bytes(), tmp_path / "flipped"
    expected = outcome(whole)
    assert expected
    start = 8 + int.from_bytes(raw[:8], "little")
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :])
        found = outcome(path)
        if at < start:
            assert found is None or b"".join(sorted(found.values())) == b"".join(sorted(expected.values())), at
        else:
            assert found is not None
            assert sum(found[key] != expected[key] for key in expected) == 1


def _mutate(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(changed))
        match chance.randrange(6):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                del changed[at : at + chance.randrange(1, 40)]
            case 3:
                changed[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
            case 4:
                other = chance.randrange(len(changed))
                changed[at : at + 16] = changed[other : other + 16]
            case 5:
                changed[at : at + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
        if not changed:
            break
    return bytes(changed)


@pytest.mark.parametrize("write", WRITERS, ids=lambda f: f.__name__.strip("_"))
def test_mutations(write, tmp_path, outcome):
    whole = tmp_path / "whole"
    write(whole)
    raw, path = whole.read_bytes(), tmp_path / "mutated"
    chance = random.Random(write.__name__)
    for _ in range(MUTATIONS):
        path.write_bytes(_mutate(raw, chance))
        outcome(path)
