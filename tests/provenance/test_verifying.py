"""An output checked again: what is as it was, what is not, and what nobody may look at unasked."""

import json
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import surgery
from surgery.formats.additions import MEMBER, RECORD
from surgery.provenance.reading import read_record
from surgery.provenance.record import FileRecord, Listing, Record, SourceRecord, text_digest
from surgery.provenance.verifying import verify

RENAME = 'source: {checkpoint: in.safetensors}\nsteps: [{rename: "module.** -> **"}]\noutput: '
FORMATS = ["out.safetensors", "{path: out/, shard_size: 60}", "out.pth", "{path: out, format: torch-legacy}"]
FORMATS += ["{path: out, format: dcp}"]


def outcomes(path, *sources):
    return {check.name or check.what: check.outcome for check in verify(path, sources=sources).checks}


@pytest.mark.parametrize("digest", [False, True])
@pytest.mark.parametrize("output", FORMATS)
def test_all_is_well(here, run, output, digest):
    (written,) = run(RENAME + output + "\n", digest=digest).written
    found = verify(written.path, sources=[here])
    assert found.ok
    assert outcomes(written.path, ".") == {
        "recipe": "ok",
        "tensors": "ok",
        "contents": "unchecked" if "legacy" in output else "ok",
        "in.safetensors": "ok",
    }


def test_in_a_kept_checkpoint(here, run):
    import torch

    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    optimizer.step()
    states = {"model": {"w": weight.detach()}, "ema": {"w": torch.zeros(3)}, "optimizer": optimizer.state_dict()}
    torch.save(states, "train.pth")
    run(
        'source: {checkpoint: {path: train.pth, entry: model}}\nsteps: [{rename: "w -> v"}]\n'
        "output: {path: out.pth, container: keep}\n"
    )
    assert outcomes("out.pth", "train.pth") == {
        "recipe": "ok",
        "tensors": "ok",
        "contents": "ok",
        "train.pth": "ok",
    }


def test_no_tensors(here, run):
    (written,) = run("source: {checkpoint: in.safetensors}\nsteps: [{filter: {drop: '**'}}]\noutput: out.pth\n").written
    assert verify(written.path).ok


def test_other_tensors(here, run):
    run(RENAME + "out.safetensors\n")
    with safe_open("out.safetensors", "np") as file:
        metadata = file.metadata()
    tensors = load_file("out.safetensors")
    save_file({f"new.{key}": value for key, value in tensors.items()}, "renamed.safetensors", metadata)
    assert outcomes("renamed.safetensors")["tensors"] == "changed"
    save_file({key: value for key, value in tensors.items() if key != "a.bias"}, "fewer.safetensors", metadata)
    assert outcomes("fewer.safetensors")["tensors"] == "changed"
    assert outcomes("fewer.safetensors")["contents"] == "changed"
    assert not verify("fewer.safetensors").ok


@pytest.mark.parametrize("output", ["out.safetensors", "{path: out/, shard_size: 60}", "out.pth"])
def test_every_flipped_byte_of_the_tensors_is_found(here, run, output):
    (written,) = run(RENAME + output + "\n", digest=True).written
    names = [written.path / name if written.path.is_dir() else written.path for name in written.files]
    data = [path for path in names if not path.name.endswith(".json")]
    tensors = [value.tobytes() for value in load_file("in.safetensors").values()]
    flipped = 0
    for path in data:
        content = path.read_bytes()
        for tensor in tensors:
            start = content.find(tensor)
            for at in range(start, start + len(tensor)) if start >= 0 else ():
                damaged = bytearray(content)
                damaged[at] ^= 0x10
                path.write_bytes(damaged)
                assert outcomes(written.path)["contents"] == "changed"
                flipped += 1
        path.write_bytes(content)
    assert flipped == sum(map(len, tensors))
    assert verify(written.path).ok


def test_a_changed_recipe(here, run):
    run(RENAME + "out.safetensors\n")
    content = Path("out.safetensors").read_bytes()
    Path("out.safetensors").write_bytes(content.replace(b"module.** -> **", b"module.** -> xx"))
    assert outcomes("out.safetensors")["recipe"] == "changed"


class TestSources:
    @pytest.fixture
    def out(self, run):
        run(RENAME + "out.safetensors\n")
        return Path("out.safetensors")

    def test_are_not_looked_for_unasked(self, out, monkeypatch):
        opened = []
        real = os.open
        monkeypatch.setattr(os, "open", lambda path, *more, **other: opened.append(path) or real(path, *more, **other))
        assert outcomes(out)["in.safetensors"] == "unchecked"
        assert {Path(path).name for path in opened} == {"out.safetensors"}

    def test_by_name_by_directory_and_under_another_name(self, out, here):
        shutil.copy("in.safetensors", "other.safetensors")
        (here / "far" / "away").mkdir(parents=True)
        shutil.copy("in.safetensors", "far/away")
        for given in (".", "in.safetensors", "other.safetensors", "far/away", here):
            assert outcomes(out, given)["in.safetensors"] == "ok"
        assert outcomes(out, "far")["in.safetensors"] == "missing"
        assert not verify(out, sources=["far"]).ok

    def test_a_byte(self, out):
        content = bytearray(Path("in.safetensors").read_bytes())
        content[-1] ^= 1
        Path("in.safetensors").write_bytes(content)
        assert outcomes(out, ".")["in.safetensors"] == "changed"
        assert "other contents of `in.safetensors`" in str(verify(out, sources=["."]).checks)

    def test_a_header_of_the_same_size(self, out):
        content = Path("in.safetensors").read_bytes()
        Path("in.safetensors").write_bytes(content.replace(b"module.b.weight", b"module.c.weight"))
        assert "other names, dtypes, shapes, places" in str(verify(out, sources=["."]).checks)

    def test_a_size(self, out):
        save_file({"a": np.ones(2)}, "in.safetensors")
        assert "and has" in str(verify(out, sources=["."]).checks)

    def test_cut_off(self, out):
        Path("in.safetensors").write_bytes(Path("in.safetensors").read_bytes()[:-4])
        assert outcomes(out, ".")["in.safetensors"] == "changed"

    def test_shards(self, here, run):
        run("source: {checkpoint: in.safetensors}\noutput: {path: shards/, shard_size: 60}\n")
        run("source: {checkpoint: shards/}\noutput: out.pth\n")
        for given in (".", "shards", "shards/model.safetensors.index.json"):
            assert outcomes("out.pth", given)["shards/"] == "ok"
        shard = sorted(Path("shards").glob("*.safetensors"))[1]
        content = bytearray(shard.read_bytes())
        content[-1] ^= 1
        shard.write_bytes(content)
        assert outcomes("out.pth", ".")["shards/"] == "changed"
        (here / "shards" / "model.safetensors.index.json").unlink()
        assert outcomes("out.pth", ".")["shards/"] == "changed"

    def test_several(self, here, run):
        shutil.copy("in.safetensors", "two.safetensors")
        run("sources: {a: {checkpoint: in.safetensors}, b: {checkpoint: two.safetensors}}\noutput: out.pth\n")
        assert outcomes("out.pth", "two.safetensors") == {
            "recipe": "ok",
            "tensors": "ok",
            "contents": "ok",
            "in.safetensors": "missing",
            "two.safetensors": "ok",
        }
        shutil.copy("in.safetensors", "three.safetensors")
        with pytest.raises(surgery.SurgeryError, match=r"`three\.safetensors` is none of the sources"):
            verify("out.pth", sources=["three.safetensors"])

    def test_not_there(self, out):
        with pytest.raises(surgery.SurgeryError, match="there is no file `nowhere`"):
            verify(out, sources=["nowhere"])

    def test_given_by_the_caller(self, here):
        surgery.load({"output": "out.pth"}).run({"a": np.ones(2)})
        assert outcomes("out.pth", ".")["the given state_dict"] == "unchecked"


class TestHostile:
    """Whoever wrote the file may have written anything into the record."""

    def write(self, record):
        text = record if isinstance(record, str) else record.to_text()
        save_file({"a": np.ones(2, np.float32)}, "out.safetensors", {RECORD: text})

    def record(self, place, *names):
        files = tuple(FileRecord(name, 3, "0" * 64) for name in names)
        source = SourceRecord(place, Listing(1, "0" * 64), "torch", files)
        return Record("a: 1", text_digest("a: 1"), Listing(1, "0" * 64), sources=(source,))

    @pytest.mark.parametrize(
        "place",
        [
            "/etc/passwd",
            "../../secret",
            "a/../../secret",
            "~/secret",
            "file:///etc/passwd",
            "..",
            ".",
            "",
            "a\0b",
            "C:\\x",
        ],
    )
    def test_places_that_reach_elsewhere(self, here, place, monkeypatch):
        (here / "inside").mkdir()
        self.write(self.record(place, "../secret"))
        opened, real = [], os.open
        monkeypatch.setattr(os, "open", lambda path, *more, **other: opened.append(path) or real(path, *more, **other))
        assert outcomes("out.safetensors", "inside")[place or "source"] == "missing"
        assert {os.path.abspath(path) for path in opened} == {str(here / "out.safetensors")}

    def test_a_device_in_the_place_of_a_source(self, here):
        os.mkfifo("pipe")
        self.write(self.record("pipe", "pipe"))
        assert outcomes("out.safetensors", ".")["pipe"] == "changed"

    @pytest.mark.parametrize("text", ["", "{}", "\x1b[31m", '{"version": 1}', "[" * 10_000, "x" * 20_000_000])
    def test_no_record_at_all(self, here, text):
        self.write(text)
        for function in (verify, read_record):
            with pytest.raises(surgery.SurgeryError) as error:
                function("out.safetensors")
            (diagnostic,) = error.value.diagnostics
            assert diagnostic.code == ("too-large" if len(text) > 16_000_000 else "corrupt-checkpoint")
            assert "\x1b" not in str(diagnostic)
            assert len(str(diagnostic)) < 1_000

    def test_checksums_of_something_else(self, here):
        record = self.record("x", "x").to_text()
        for digits in ("0" * 7, "0" * 16, "x" * 8, "-1234567"):
            save_file({"a": np.ones(2)}, "out.safetensors", {RECORD: record, "surgery.crc32": digits})
            assert outcomes("out.safetensors")["contents"] == "changed"

    def test_a_member_that_is_no_record(self, here, run):
        run(RENAME + "out.pth\n")
        content = Path("out.pth").read_bytes()
        record = read_record("out.pth").to_text().encode()
        other = json.dumps({"version": 1, "x": ""}).encode()
        other = other[:-2] + b"x" * (len(record) - len(other)) + other[-2:]
        crc, new = (zlib.crc32(text).to_bytes(4, "little") for text in (record, other))
        assert content.count(MEMBER.encode()) == 2
        Path("out.pth").write_bytes(content.replace(record, other).replace(crc, new))
        with pytest.raises(surgery.SurgeryError, match="is none: its `recipe` is not what stands there"):
            verify("out.pth")
