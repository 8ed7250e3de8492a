"""Damaged files of every format: one typed error, or exactly the right bytes. Never another exception, nor a hang."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest
import torch
from checkpoints import CHECKPOINTS, single_file

import surgery
from surgery.diagnostics import SurgeryError
from surgery.formats import read
from surgery.formats.entries import choose
from surgery.tensors.expr import TensorExpr

SINGLE = [name for name in CHECKPOINTS if name not in ("sharded", "distributed")]


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


def _flipped(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Every byte, one of its bits flipped."""
    for at in range(len(raw)):
        yield at, raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]


@pytest.mark.parametrize("name", SINGLE)
def test_every_truncation_is_refused(name, tmp_path, outcome):
    raw, path = single_file(name), tmp_path / "cut"
    path.write_bytes(raw)
    assert outcome(path)
    for length in range(0, len(raw), 1 if len(raw) < 2000 else 3):
        path.write_bytes(raw[:length])
        assert outcome(path) is None, length


@pytest.mark.parametrize("name", ["sharded", "distributed"])
def test_every_truncation_of_every_file_of_a_directory_is_refused(name, tmp_path, outcome):
    files = CHECKPOINTS[name]()
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    assert outcome(tmp_path)
    for file, content in files.items():
        for length in range(0, len(content), 1 + len(content) // 200):
            (tmp_path / file).write_bytes(content[:length])
            assert outcome(tmp_path) is None, f"{file}, {length}"
        (tmp_path / file).write_bytes(content)


@pytest.mark.parametrize("name", ["torch zip", "module"])
def test_every_flipped_byte_of_a_torch_zip_is_refused_or_harmless(name, tmp_path, outcome):
    """The format has checksums, so whatever is read is right; keys, shapes and dtypes too, which are in the pickle."""
    raw, path = single_file(name), tmp_path / "flipped"
    path.write_bytes(raw)
    expected = outcome(path)
    assert expected
    for at, changed in _flipped(raw):
        path.write_bytes(changed)
        assert outcome(path) in (None, expected), at


def test_every_flipped_byte_of_a_safetensors_file_changes_no_size(tmp_path, outcome):
    """Without checksums a name or a number can change unseen (`sha256` finds that); bytes never move."""
    raw, path = single_file("safetensors"), tmp_path / "flipped"
    path.write_bytes(raw)
    expected = outcome(path)
    assert expected
    start = 8 + int.from_bytes(raw[:8], "little")
    for at, changed in _flipped(raw):
        path.write_bytes(changed)
        found = outcome(path)
        if at < start:
            assert found is None or b"".join(sorted(found.values())) == b"".join(sorted(expected.values())), at
        else:
            assert found is not None
            assert sum(found[key] != expected[key] for key in expected) == 1


def test_every_flip_and_cut_of_a_file_with_a_digest_is_refused(tmp_path):
    raw, path = single_file("safetensors"), tmp_path / "flipped"
    path.write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    recipe = surgery.load({"source": {"checkpoint": {"path": str(path), "sha256": digest}}})
    assert len(recipe.plan().subject.entries) == 3
    for changed in (*(content for _, content in _flipped(raw)), *(raw[:length] for length in range(len(raw)))):
        path.write_bytes(changed)
        with pytest.raises(SurgeryError, match="wrong-digest"):
            recipe.plan()
