"""``surgery invert`` from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from surgery.cli.main import command

RECIPE = """\
name: fuse
params:
  model: {type: path, help: a checkpoint}
source: {checkpoint: $model}
steps:
  - convert: "m.{i}.(q|k) -> blocks.{i}.qk via concat"
  - rename: "m.** -> **"
output: out.safetensors
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    Path("fuse.yaml").write_text(RECIPE)
    save_file(state({"m.0.q": (4, 2), "m.0.k": (2, 2), "m.norm": (2,)}), "model.safetensors")
    return lambda *words: CliRunner().invoke(command, words)


def test_there_and_back(run) -> None:
    found = run("invert", "fuse.yaml", "model.safetensors", "-o", "back.yaml")
    assert (found.exit_code, found.stdout) == (0, "wrote back.yaml\n")
    assert "warning[inverse]" in found.stderr
    assert run("check", "back.yaml").exit_code == 0
    assert run("fmt", "--check", "back.yaml").exit_code == 0
    assert run("run", "fuse.yaml", "-p", "model=model.safetensors").exit_code == 0
    assert run("run", "back.yaml", "-p", "model=out.safetensors", "-o", "again.safetensors").exit_code == 0
    first, again = load_file("model.safetensors"), load_file("again.safetensors")
    assert first.keys() == again.keys()
    assert all((first[key] == again[key]).all() for key in first)


def test_the_recipe_is_printed(run, golden) -> None:
    found = run("invert", "fuse.yaml", "model.safetensors")
    golden("inversion/printed", found.stdout)
    golden("inversion/warnings", found.stderr)
    assert run("invert", "-q", "fuse.yaml", "model.safetensors").stderr == ""


def test_a_file_is_not_replaced_by_accident(run) -> None:
    Path("back.yaml").write_text("mine")
    found = run("invert", "fuse.yaml", "model.safetensors", "-o", "back.yaml")
    assert found.exit_code != 0
    assert "output-exists" in found.stderr
    assert Path("back.yaml").read_text() == "mine"
    assert run("invert", "fuse.yaml", "model.safetensors", "-o", "back.yaml", "--force").exit_code == 0
    assert Path("back.yaml").read_text() != "mine"


def test_what_keeps_it_from_being_inverted(run, golden) -> None:
    found = run("invert", "fuse.yaml")
    assert (found.exit_code, found.stdout) == (2, "")
    golden("inversion/asked", found.stderr)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("invert", "fuse.yaml", "absent.safetensors"), "no-file"),
        (("invert", "absent.yaml"), "no-file"),
        (("invert", "fuse.yaml", "fuse.yaml"), "not-a-checkpoint"),
        (("invert", "fuse.yaml", "model.safetensors", "-p", "heads=3"), "parameter-value"),
        (("invert", "fuse.yaml", "model.safetensors", "-p", "model=model.safetensors"), None),
        (("invert",), "usage"),
    ],
)
def test_what_is_mistaken_is_said(run, words, code) -> None:
    found = run(*words)
    assert (found.exit_code == 0) == (code is None)
    assert code is None or f"error[{code}]" in found.stderr


def test_one_checkpoint_is_not_several_sources(run) -> None:
    Path("two.yaml").write_text(
        "sources: {a: {checkpoint: a.pth}, b: {checkpoint: b.pth}}\nsteps: [{rename: a -> c}]\n"
    )
    found = run("invert", "two.yaml", "model.safetensors")
    assert "the recipe has several sources" in found.stderr
