"""Checksums of storages in a file of torch: checked when the storage is used, in part or whole, and once."""

from __future__ import annotations

import zipfile

import pytest
import torch
from safetensors.torch import load_file

import surgery
from surgery.diagnostics import SurgeryError
from surgery.engine.reading import SourceFiles
from surgery.tensors.expr import ByteRange
from surgery.tensors.ranges import cut, merge


@pytest.fixture
def damaged(tmp_path):
    """A file with three views of one storage and a tensor of its own; its last element is of no view, and damaged."""
    base = torch.arange(40.0)
    views = {"row": base[8:16], "strided": base[1:9:2], "matrix": base[:12].reshape(3, 4).t()}
    path = tmp_path / "model.pth"
    torch.save({**views, "own": torch.ones(3)}, path)
    content = bytearray(path.read_bytes())
    at = content.find(base[8:].numpy().tobytes()) + 31 * 4
    content[at] ^= 1
    path.write_bytes(content)
    return path


def run(path, output, *steps):
    recipe = path.parent / "recipe.yaml"
    lines = "".join(f"  - {step}\n" for step in ("{rename: ['** -> m.**']}", *steps))
    recipe.write_text(f"surgery: 1\nsource: {{checkpoint: {path.name}}}\nsteps:\n{lines}output: {output}\n")
    return surgery.load(recipe).run()


@pytest.mark.parametrize("output", ["out.safetensors", "out.pth"])
@pytest.mark.parametrize("key", ["row", "strided", "matrix"])
def test_a_part_of_a_damaged_storage_is_refused(key, output, damaged):
    with pytest.raises(SurgeryError, match=r"160 bytes from byte .* are damaged") as error:
        run(damaged, output, f"{{filter: {{keep: m.{key}}}}}")
    assert error.value.diagnostics[0].code == "corrupt-checkpoint"
    assert sorted(path.name for path in damaged.parent.iterdir()) == ["model.pth", "recipe.yaml"]


def test_a_storage_that_nothing_is_kept_of_is_not_read(damaged):
    run(damaged, "out.pth", "{filter: {keep: m.own}}")
    assert torch.equal(torch.load(damaged.parent / "out.pth", weights_only=True)["m.own"], torch.ones(3))


def test_without_checksums_there_is_nothing_to_check(damaged):
    content = bytearray(damaged.read_bytes())
    with zipfile.ZipFile(damaged) as archive:
        crcs = {info.CRC for info in archive.infolist() if "/data/" in info.filename}
    for crc in crcs:
        content[:] = content.replace(crc.to_bytes(4, "little"), bytes(4))
    damaged.write_bytes(content)
    run(damaged, "out.safetensors")
    assert load_file(damaged.parent / "out.safetensors").keys() == {"m.row", "m.strided", "m.matrix", "m.own"}


def test_a_storage_is_read_once_for_its_check(tmp_path, monkeypatch):
    import zlib

    content = bytes(range(256)) * 4
    (tmp_path / "file").write_bytes(content)
    whole = ByteRange(str(tmp_path / "file"), 0, 1024, zlib.crc32(content))
    seen = []
    crc32 = zlib.crc32
    monkeypatch.setattr("zlib.crc32", lambda data, crc=0: seen.append(len(data)) or crc32(data, crc))
    with SourceFiles() as files:
        for piece in cut([whole], 8, 8) + cut([whole], 100, 50):
            view = memoryview(bytearray(piece.length))
            files.read_into(piece, view)
            assert view == content[piece.offset : piece.offset + piece.length]
    assert sum(seen) == 1024


def test_parts_that_are_joined_again_are_the_whole():
    whole = ByteRange("a", 100, 30, 7)
    parts = [*cut([whole], 0, 10), *cut([whole], 10, 15), *cut(cut([whole], 20, 10), 5, 5)]
    assert merge(parts) == (whole,)
    assert merge(parts[:2])[0].whole == whole
    other = ByteRange("a", 130, 30, 8)
    assert len(merge([*cut([whole], 20, 10), *cut([other], 0, 10)])) == 2
