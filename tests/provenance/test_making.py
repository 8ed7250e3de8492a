"""What a run records: the same for the same recipe, inputs and versions, and enough to run again."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import surgery
from surgery import provenance
from surgery.formats.additions import CHECKSUMS, RECORD
from surgery.provenance.digests import cheap, named_by_hub
from surgery.provenance.making import record_of
from surgery.provenance.reading import read_record
from surgery.provenance.record import text_digest

RENAME = 'source: {checkpoint: in.safetensors}\nsteps: [{rename: "module.** -> **"}]\n'
OUTPUTS = ["out.safetensors", "{path: out/, shard_size: 60}", "out.pth", "{path: out.pt, format: torch-legacy}"]
OUTPUTS += ["{path: out, format: dcp}"]
RECIPES = {
    "rename": RENAME,
    "split": 'source: {checkpoint: in.safetensors}\nsteps: [{convert: "**.a.weight -> **.(x|y|z) via chunk(dim=0)"}]\n',
    "cast": 'source: {checkpoint: in.safetensors}\nsteps: [{cast: "**.a -> float16"}]\n',
    "create": "source: {checkpoint: in.safetensors}\nsteps: [{create: 'new.weight -> randn(4, 4)'}]\n",
    "parameters": "params: {b: {type: integer, default: 2}, a: [x, y]}\n" + RENAME,
    "several": "sources: {one: {checkpoint: in.safetensors}, two: {checkpoint: ./in.safetensors}}\n",
}


def text_of(name, output):
    return f"# a recipe\n{RECIPES[name]}output: {output}\n"


@pytest.mark.parametrize("name", RECIPES)
def test_twenty_runs_are_one(name, here, run, digest):
    output = OUTPUTS[list(RECIPES).index(name) % len(OUTPUTS)]
    found = set()
    for number in range(20):
        place = here / f"somewhere {number}"
        place.mkdir()
        shutil.copy("in.safetensors", place)
        os.utime(place / "in.safetensors", (number, number))
        (place / "recipe.yaml").write_text(text_of(name, output))
        (written,) = surgery.run(place / "recipe.yaml").written
        found.add(digest(written.path))
    assert len(found) == 1


def test_processes_and_hashes_and_directories_make_no_difference(here, digest):
    (here / "recipe.yaml").write_text(text_of("several", "out.pth"))
    found = set()
    for seed in ("1", "2"):
        code = f"import surgery; surgery.run({str(here / 'recipe.yaml')!r}, output='{seed}.pth')"
        place = here / seed
        place.mkdir()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=place, env={**os.environ, "PYTHONHASHSEED": seed})
        found.add(digest(place / f"{seed}.pth"))
    assert len(found) == 1


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_recipe_comes_back_and_makes_the_same_again(output, here, run, digest):
    text = text_of("rename", output)
    (written,) = run(text).written
    record = read_record(written.path)
    assert (record.recipe, record.sha256) == (text, hashlib.sha256(text.encode()).hexdigest())
    first = digest(written.path)
    (again,) = surgery.Recipe.of_text(record.recipe).run(overwrite=True).written
    assert digest(again.path) == first


def test_an_absolute_recipe_makes_the_same_as_a_relative_one(here, run, digest):
    absolute = RENAME.replace("in.s", f"{here}/in.s") + f"output: {here}/out.pth\n"
    run(absolute)
    found = digest("out.pth")
    run(RENAME + "output: out.pth\n", overwrite=True)
    assert digest("out.pth") == found
    assert str(here).encode() not in Path("out.pth").read_bytes()


def test_a_record(here, run):
    text = text_of("parameters", "out.safetensors")
    result = run(text, b=3)
    record = result.record
    assert record == read_record("out.safetensors")
    assert record.params == {"b": 3, "a": ["x", "y"]}
    assert record.versions == {"surgery": surgery.__version__}
    (source,) = record.sources
    (file,) = source.files
    assert (source.place, source.format, source.listing.tensors) == ("in.safetensors", "safetensors", 3)
    content = Path("in.safetensors").read_bytes()
    assert (file.name, file.size, file.sha256) == (
        "in.safetensors",
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
    assert json.loads(record.to_text()) == record.to_json()


def test_versions_are_of_what_took_part(here, run):
    assert run(text_of("split", "a.pth")).record.versions.keys() == {"surgery"}
    made = run(text_of("create", "b.pth")).record
    assert made.versions == {"surgery": surgery.__version__, "torch": metadata.version("torch")}


def test_parameters_that_are_paths_lose_their_directory(here, run):
    text = "params: {w: {type: path}}\n" + RENAME.replace("in.safetensors", "$w") + "output: out.pth\n"
    record = run(text, w=here / "in.safetensors").record
    assert record.params == {"w": "in.safetensors"}
    assert record.sources[0].place == "in.safetensors"


def test_what_python_gave(here):
    recipe = surgery.load({"steps": [{"rename": "a -> b"}], "output": "out.pth"})
    record = recipe.run({"a": torch.ones(2)}).record
    (source,) = record.sources
    assert (source.place, source.files, source.listing.tensors) == ("the given state_dict", (), 1)
    assert record.versions.keys() == {"surgery", "torch"}


def test_no_record_where_nobody_wants_one(here, run):
    assert run(RENAME + "output: {path: a.pth, provenance: false}\n").record is None
    assert run(RENAME + "output: b.pth\n", provenance=False).record is None
    assert Path("a.pth").read_bytes() == Path("b.pth").read_bytes()
    assert b"rename" not in Path("a.pth").read_bytes()
    for name in ("a.pth", "b.pth"):
        with pytest.raises(surgery.SurgeryError, match="does not say what made it") as error:
            read_record(name)
        assert error.value.diagnostics[0].code == "no-provenance"


def test_metadata_is_kept_and_the_record_is_that_of_the_last_step(here, run):
    run(RENAME + "output: {path: a.safetensors, metadata: {author: Ada}}\n")
    run("source: {checkpoint: a.safetensors}\nsteps: [{filter: {keep: a}}]\noutput: b.safetensors\n")
    from surgery.formats import read

    metadata = read("b.safetensors").metadata
    assert {name: value for name, value in metadata.items() if name not in (RECORD, CHECKSUMS)} == {
        "author": "Ada",
        "format": "pt",
        "license": "mit",
    }
    record = read_record("b.safetensors")
    assert "filter" in record.recipe
    assert record.sources[0].record == read_record("a.safetensors").to_json()


@pytest.mark.parametrize("remark", ["", "# " + "x" * 2_000 + "\n"])
def test_a_chain_is_bounded(here, run, remark):
    recipe = "source: {checkpoint: %s.pth}\noutput: %s.pth\n" + remark
    run(RENAME + "output: 0.pth\n")
    for number in range(40):
        run(recipe % (number, number + 1))
    sizes = [len(read_record(f"{number}.pth").to_text()) for number in range(41)]
    assert max(sizes) < 80_000
    digests = [number for number in range(1, 41) if read_record(f"{number}.pth").sources[0].record.keys() == {"sha256"}]
    assert digests
    cut = digests[0]
    earlier = read_record(f"{cut - 1}.pth").to_text()
    assert read_record(f"{cut}.pth").sources[0].record["sha256"] == text_digest(earlier)


def test_a_false_record_of_a_source_is_not_handed_on(here, run):
    save_file({"a": np.ones(2)}, "false.safetensors", {RECORD: '{"version": 1, "x": "\\u001b[31m"}'})
    assert run("source: {checkpoint: false.safetensors}\noutput: out.pth\n").record.sources[0].record is None


def test_names_of_ours_cannot_be_given(here, run):
    with pytest.raises(surgery.SurgeryError, match=r"`metadata` has `surgery\.provenance`"):
        run(RENAME + "output: {path: a.safetensors, metadata: {surgery.provenance: '{}'}}\n")


def test_what_is_digested(here, run, monkeypatch):
    monkeypatch.setattr(provenance.making, "cheap", lambda sizes: cheap(sizes, budget=1))
    result = run(RENAME + "output: a.pth\n")
    size = Path("in.safetensors").stat().st_size
    assert result.record.sources[0].files[0].sha256 is None
    assert result.record.undigested == size
    assert f"contents of the sources not digested: {size} B; `--digest` takes the time" in str(result)
    digest = hashlib.sha256(Path("in.safetensors").read_bytes()).hexdigest()
    assert run(RENAME + "output: b.pth\n", digest=True).record.sources[0].files[0].sha256 == digest
    pinned = RENAME.replace("in.safetensors", f"{{path: in.safetensors, sha256: {digest}}}")
    assert run(pinned + "output: c.pth\n").record.sources[0].files[0].sha256 == digest


def test_what_the_hub_says(here):
    blob = here / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"")
    link = here / "model.safetensors"
    link.symlink_to(blob)
    assert named_by_hub(str(link)) == "ab" * 32
    assert named_by_hub(str(blob)) is None
    assert named_by_hub(str(here / "in.safetensors")) is None


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_plan_knows_how_long_it_will_be(here, name, output):
    plan = surgery.Recipe.of_text(text_of(name, output)).plan()
    result = plan.execute()
    assert len(record_of(plan, draft=True).to_text()) == len(result.record.to_text())
    assert plan.cost.written == sum(sum(written.files.values()) for written in result.written)
