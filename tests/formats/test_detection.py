"""Formats are told by content; what is no checkpoint is named for what it seems to be."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest
import safetensors.torch
import torch

from surgery.diagnostics import SurgeryError
from surgery.formats import FORMATS, read
from surgery.formats.file import open_file


def refusal(path):
    with pytest.raises(SurgeryError) as error:
        read(path)
    return error.value.diagnostics[0]


def test_the_name_does_not_matter(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "a.pt")
    assert read(tmp_path / "a.safetensors").format == "torch"
    assert read(tmp_path / "a.pt").format == "safetensors"


FOREIGN = {
    "empty": (b"", "it is empty"),
    "web page": (b"\n<!DOCTYPE html>\n<html>", "it is a web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a Git LFS pointer"),
    "gguf": (b"GGUF\x03\0\0\0", "it is a GGUF file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n\0", "it is an HDF5 file"),
    "gzip": (gzip.compress(b"x"), "compressed with gzip"),
    "zeros": (bytes(5000), "it begins with zeros"),
    "json": (b'{"a": 1}', "it is JSON"),
    "text": (b"some \x1b notes"[:5] + b"notes\nmore", "it is text, and begins with `some notes`"),
    "bytes": (b"\x01\x02\x03\x04\x05", "its first bytes, 01 02 03 04 05,"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "an empty zip archive"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_it_seems(case, tmp_path):
    content, words = FOREIGN[case]
    (tmp_path / "model.pt").write_bytes(content)
    found = refusal(tmp_path / "model.pt")
    assert found.code == "not-a-checkpoint"
    assert words in found.message


def test_archives_of_other_things(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(__file__)
    assert "it is a tar archive" in refusal(tmp_path / "a.tar").message
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    assert "neither a torch checkpoint nor numpy arrays" in refusal(tmp_path / "a.zip").message


def test_no_file_is_of_two_formats(tmp_path):
    import numpy

    torch.save({}, tmp_path / "zip")
    torch.save({}, tmp_path / "legacy", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file({}, tmp_path / "st")
    numpy.savez(tmp_path / "a.npz", a=numpy.ones(1))
    numpy.save(tmp_path / "a.npy", numpy.ones(1))
    (tmp_path / "index.json").write_text(json.dumps({"weight_map": {"a": "b"}}))
    for path in tmp_path.iterdir():
        with open_file(path) as file:
            assert [name for name in FORMATS if FORMATS[name].matches(file)] != [], path
            assert len([name for name in FORMATS if FORMATS[name].matches(file)]) == 1, path


def test_a_missing_file_names_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet50.pth").touch()
    found = refusal("resnet5O.pth")
    assert (found.code, found.notes) == ("no-file", ("did you mean `resnet50.pth`?",))
    assert refusal("nowhere/x.pth").notes == ("there is no directory `nowhere`",)
    assert refusal("unlike").notes == ("in that directory: `resnet50.pth`",)
    assert refusal("resnet50.pth/x").code == "no-file"
    assert refusal("a\0b").code == "no-file"
    assert refusal("x" * 5000).code == "no-file"


def test_pipes_and_devices(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe, not a regular file" in refusal(tmp_path / "pipe").message
    assert "is a device" in refusal("/dev/zero").message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "a").touch(0o000)
    assert "Permission denied" in refusal(tmp_path / "a").message


def test_names_are_escaped(tmp_path):
    (tmp_path / "a\x1b[31m\u202e").write_bytes(b"")
    text = str(SurgeryError(refusal(tmp_path / "a\x1b[31m\u202e")))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_directories(tmp_path):
    found = refusal(tmp_path)
    assert (found.code, found.notes) == ("not-a-checkpoint", ("it is empty",))
    (tmp_path / "notes.txt").touch()
    assert refusal(tmp_path).notes == ("in it: `notes.txt`",)
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    assert read(tmp_path).path == str(tmp_path / "a.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "b.pt")
    found = refusal(tmp_path)
    assert found.code == "several-checkpoints"
    assert "`a.pt`, `b.pt`" in found.message


def test_a_link_is_followed_and_keeps_its_name(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "blob")
    (tmp_path / "model.pt").symlink_to(tmp_path / "blob")
    assert read(tmp_path / "model.pt").path == str(tmp_path / "model.pt")


SPEED = """
import sys, time
from surgery.formats import read
from surgery.formats.entries import choose
begin = time.process_time()
for path in sys.argv[1:]:
    choose(read(path))
took = time.process_time() - begin
assert "torch" not in sys.modules and "numpy" not in sys.modules, "imported"
print(took)
"""


def test_headers_are_read_fast_and_without_torch(tmp_path):
    few = {f"layers.{number}.weight": torch.zeros(2, 2) for number in range(300)}
    torch.save(few, tmp_path / "few.pt")
    torch.save(few, tmp_path / "few.old", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(few, tmp_path / "few.safetensors")

    def seconds(*paths):
        command = [sys.executable, "-c", SPEED, *map(str, paths)]
        return min(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3))

    assert seconds(tmp_path / "few.pt", tmp_path / "few.old", tmp_path / "few.safetensors") < 0.15


def test_reading_takes_time_in_line_with_the_number_of_keys(tmp_path):
    many = {f"layers.{number}.weight": torch.zeros(2, 2) for number in range(10_000)}
    torch.save(many, tmp_path / "many.pt")
    safetensors.torch.save_file(many, tmp_path / "many.safetensors")
    command = [sys.executable, "-c", SPEED, str(tmp_path / "many.pt"), str(tmp_path / "many.safetensors")]
    assert float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) < 1.5
