"""Locks: what they hold, what they catch, how they move on, and runs without a network."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import surgery as python_interface
from surgery.cli.main import command
from surgery.diagnostics import SurgeryError
from surgery.locking.lock import Lock, LockedFile, LockedRecipe, lock_text, read_lock

CLEAN = 'steps: [{rename: "module.** -> **"}]\n'
OTHER = 'steps: [{rename: "module.** -> other.**"}]\n'


@pytest.fixture
def surgery():
    def run(line: str, status: int = 0) -> str:
        ended = CliRunner().invoke(command, line.split())
        assert ended.exit_code == status, ended.output
        return ended.output

    return run


@pytest.fixture
def made(repository, tmp_path, monkeypatch, http_server):
    """A repository with a recipe at `v1`, and a recipe here that uses it over HTTP."""
    made = repository("recipes")
    made.commit({"clean.yaml": "steps: [use: parts/inner.yaml]\n", "parts/inner.yaml": CLEAN}, tag="v1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    torch.save({"module.a": torch.ones(2)}, "model.pt")
    made.reference = f"{http_server}/recipes/.git//clean.yaml@v1"
    Path("main.yaml").write_text(f"source: model.pt\nsteps:\n  - use: {made.reference}\noutput: out.safetensors\n")
    return made


def keys() -> list[str]:
    return sorted(python_interface.run({"source": "out.safetensors"}).state_dict)


def test_a_lock_holds_commits_and_digests(made, surgery):
    commit = made.git("rev-parse", "v1^{commit}")
    assert "wrote surgery.lock  2 recipes, 1 source" in surgery("lock main.yaml --allow network")
    lock = read_lock(Path())
    inner = made.reference.replace("clean.yaml@v1", f"parts/inner.yaml@{commit}")
    assert {name: recipe.commit for name, recipe in lock.recipes.items()} == {made.reference: commit, inner: commit}
    assert list(lock.sources) == ["model.pt"]
    assert lock.sources["model.pt"]["model.pt"].size == Path("model.pt").stat().st_size
    text = Path("surgery.lock").read_text()
    surgery("lock main.yaml --allow network")
    assert Path("surgery.lock").read_text() == text


def test_what_a_parameter_names_is_not_locked(made, surgery):
    Path("main.yaml").write_text("params: {x: {type: path}}\nsource: $x\n")
    surgery("lock main.yaml -p x=model.pt")
    assert read_lock(Path()) == Lock()


def test_a_tag_that_moves_is_caught_and_changes_nothing(made, surgery, golden):
    surgery("lock main.yaml --allow network")
    moved = made.commit({"parts/inner.yaml": OTHER}, tag="v1")
    # with the lock, the recipe is what it was, whoever may be asked
    surgery("run main.yaml --allow network")
    assert keys() == ["a"]
    surgery("run main.yaml --force")
    surgery("run main.yaml --force --locked")
    said = surgery("run main.yaml --force --locked --allow network", status=1)
    assert "error[drift]" in said
    assert f"leads to  {moved}" in said
    # without it, it is what it is now
    shutil.move("surgery.lock", "elsewhere")
    surgery("run main.yaml --force --allow network")
    assert keys() == ["other.a"]


def test_an_update_shows_the_lines_that_changed_and_takes_them_when_asked(made, surgery):
    surgery("lock main.yaml --allow network")
    before = Path("surgery.lock").read_text()
    assert surgery("update main.yaml --allow network") == "nothing has changed\n"
    made.commit({"clean.yaml": CLEAN}, tag="v1")
    said = surgery("update main.yaml --allow network")
    assert "  -steps: [use: parts/inner.yaml]\n" in said
    assert f"  +{CLEAN}" in said
    assert Path("surgery.lock").read_text() == before
    surgery("update main.yaml --allow network --take")
    assert list(read_lock(Path()).recipes) == [made.reference]
    surgery("run main.yaml --allow network --locked")


def test_a_branch_warns_and_is_held_by_a_lock(made, surgery):
    branch = made.reference.replace("@v1", "@main")
    Path("main.yaml").write_text(f"source: model.pt\nsteps:\n  - use: {branch}\noutput: out.safetensors\n")
    assert "warning[moving-reference]" in surgery("run main.yaml --allow network")
    assert "there is no `surgery.lock`" in surgery("run main.yaml --allow network --locked", status=2)
    surgery("lock main.yaml --allow network")
    made.commit({"clean.yaml": OTHER})
    assert "moving" not in surgery("run main.yaml --force --allow network")
    assert keys() == ["a"]
    # those who want to be sure name what does not move
    for allowed in ("", " --allow network"):
        assert "follows a branch" in surgery(f"run main.yaml --force --locked{allowed}", status=1)
    commit = read_lock(Path()).recipes[branch].commit
    Path("main.yaml").write_text(Path("main.yaml").read_text().replace("@main", f"@{commit}"))
    surgery("lock main.yaml --allow network")
    surgery("run main.yaml --force --locked")


def test_what_is_not_in_the_lock(made, surgery):
    surgery("lock main.yaml --allow network")
    more = f"source: model.pt\nsteps:\n  - use: {made.reference}\n  - use: builtin:nothing\n"
    Path("main.yaml").write_text(more)
    said = surgery("run main.yaml --locked --allow network", status=1)
    assert "error[drift]: `builtin:nothing` is not in `surgery.lock`" in said


def test_what_is_new_is_locked_without_a_word(made, surgery):
    surgery("lock main.yaml --allow network")
    inner = made.reference.replace("clean.yaml", "parts/inner.yaml")
    Path("second.yaml").write_text(f"source: model.pt\nsteps: [use: '{inner}']\n")
    assert surgery("lock second.yaml --allow network") == "wrote surgery.lock  3 recipes, 1 source\n"


def test_a_recipe_that_is_run_by_its_reference_is_locked_too(made, surgery):
    recipe = "source: $x\nparams: {x: {type: path}}\nsteps: [use: parts/inner.yaml]\noutput: out.safetensors\n"
    commit = made.commit({"top.yaml": recipe}, tag="v1")
    top = made.reference.replace("clean.yaml", "top.yaml")
    run = f"run {top} -p x=model.pt --allow network --force --locked"
    assert "there is no `surgery.lock`" in surgery(run, status=2)
    surgery("lock main.yaml --allow network")
    assert f"error[drift]: `{top}` is not in `surgery.lock`" in surgery(run, status=1)
    surgery(f"lock {top} -p x=model.pt --allow network")
    assert read_lock(Path()).recipes[top].commit == commit
    surgery(run)
    made.commit({"top.yaml": recipe + "# more\n"}, tag="v1")
    assert f"error[drift]: `{top}` is not what it was when it was locked" in surgery(run, status=1)
    assert "+# more" in surgery(f"update {top} -p x=model.pt --allow network")
    surgery(f"update {top} -p x=model.pt --allow network --take")
    surgery(run)


def test_weights_that_changed(made, surgery):
    surgery("lock main.yaml --allow network")
    size = Path("model.pt").stat().st_size
    torch.save({"module.a": torch.zeros(2)}, "model.pt")
    assert Path("model.pt").stat().st_size == size
    said = surgery("run main.yaml --locked", status=1)
    assert "error[drift]: `model.pt` is not what it was when it was locked" in said
    assert "`model.pt` has other content" in said
    assert not Path("out.safetensors").exists()
    torch.save({"module.a": torch.zeros(200)}, "model.pt")
    assert "warning[drift]" in surgery("run main.yaml")
    surgery("update main.yaml --allow network --take")
    surgery("run main.yaml --force --locked")


def test_a_vendored_recipe_runs_without_network_and_cache(made, surgery, own_cache, http_server):
    torch.save({"module.a": torch.ones(3)}, made.path / "weights.pt")
    weights = http_server.removeprefix("git+") + "/recipes/weights.pt"
    text = Path("main.yaml").read_text().replace("model.pt", weights)
    Path("main.yaml").write_text(text)
    surgery("lock main.yaml --allow network")
    copied = surgery("vendor main.yaml --allow network")
    assert copied.count("wrote ") == 3
    assert surgery("vendor main.yaml --allow network") == ""
    shutil.rmtree(own_cache)
    shutil.rmtree(made.path)
    surgery("run main.yaml --locked")
    assert keys() == ["a"]
    recipe = next(Path("surgery.vendor/recipes").iterdir())
    recipe.write_text("steps: []\n")
    for line in ("run main.yaml --locked --force", "run main.yaml --force"):
        said = surgery(line, status=1)
        assert "is not what it was when it was locked" in said
        assert "the copy in the cache, or in `surgery.vendor`, was changed" in said
    assert keys() == ["a"]


def test_a_vendored_file_has_the_digest_that_its_recipe_says(made, surgery, http_server):
    torch.save({"module.a": torch.ones(3)}, made.path / "weights.pt")
    place = f"{http_server.removeprefix('git+')}/recipes/weights.pt"
    digest = hashlib.sha256((made.path / "weights.pt").read_bytes()).hexdigest()
    Path("main.yaml").write_text(f"source: {{checkpoint: {{path: '{place}', sha256: {digest}}}}}\n")
    surgery("lock main.yaml --allow network")
    surgery("vendor main.yaml --allow network")
    surgery("plan main.yaml")
    (copied,) = Path("surgery.vendor/sources").rglob("weights.pt")
    torch.save({"module.a": torch.zeros(3)}, copied)
    assert "error[wrong-digest]" in surgery("plan main.yaml", status=3)


@pytest.mark.parametrize(
    "text",
    [
        "lock: 2\n",
        "[]\n",
        "",
        "lock: 1\nrecipes: []\n",
        "lock: 1\nrecipes: {a: {sha256: 12}}\n",
        "lock: 1\nrecipes: {a: {commit: main}}\n",
        f"lock: 1\nrecipes: {{a: {{sha256: {'0' * 64!r}, moving: often}}}}\n",
        "lock: 1\nsources: {a: {b: {size: many, sha256: x}}}\n",
        "lock: 1\n<<<<<<< ours\nrecipes: {}\n=======\n",
        "\x00",
    ],
)
def test_locks_that_are_none(made, text):
    Path("surgery.lock").write_text(text)
    with pytest.raises(SurgeryError) as caught:
        python_interface.load("main.yaml").plan(allow=["network"])
    assert {d.code for d in caught.value.diagnostics} == {"lock-file"}


def test_a_lock_is_read_as_it_was_written(tmp_path):
    lock = Lock(
        {"builtin:soup": LockedRecipe("0" * 64), "github:o/r//x.yaml@v1": LockedRecipe("1" * 64, "2" * 40, True)},
        {"hf://o/r/model.safetensors": {"model.safetensors": LockedFile("3" * 64, 12)}, "a b/c: d.pt": {}},
    )
    (tmp_path / "surgery.lock").write_text(lock_text(lock))
    assert read_lock(tmp_path) == lock
    assert read_lock(tmp_path / "nothing") is None
