"""Recipes of git repositories: tags, branches and commits, the cache, and repositories that mean harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError
from surgery.references.parse import collection, parse_reference
from surgery.testing.running import try_recipe

CLEAN = 'steps: [{rename: "module.** -> **"}]'


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    torch.save({"module.a": torch.ones(2)}, "model.pt")
    return tmp_path / "here"


def run(reference: str, allow: tuple[str, ...] = ("network", "include:..")) -> list[str]:
    recipe = {"source": "model.pt", "steps": [{"use": reference}]}
    return sorted(surgery.run(recipe, allow=allow).state_dict)


def failure(reference: str, allow: tuple[str, ...] = ("network", "include:..")) -> str:
    with pytest.raises(SurgeryError) as caught:
        run(reference, allow)
    return str(caught.value)


def codes(reference: str) -> list[str]:
    plan = surgery.load({"source": "model.pt", "steps": [{"use": reference}]}).plan(allow=["network", "include:.."])
    return [warning.code for warning in plan.warnings]


@pytest.mark.parametrize("way", ["file", "http"])
def test_a_tag_a_branch_and_a_commit(repository, http_server, here, way):
    made = repository("recipes")
    first = made.commit({"a/clean.yaml": CLEAN}, tag="v1")
    made.commit({"a/clean.yaml": 'steps: [{rename: "module.** -> new.**"}]'})
    made.git("update-server-info")
    base = made.file_reference if way == "file" else f"{http_server}/recipes/.git"
    assert run(f"{base}//a/clean.yaml@v1") == ["a"]
    assert run(f"{base}//a/clean.yaml@{first}") == ["a"]
    assert run(f"{base}//a/clean.yaml@main") == ["new.a"]
    assert run(f"{base}//a/clean.yaml") == ["new.a"]
    assert codes(f"{base}//a/clean.yaml@v1") == codes(f"{base}//a/clean.yaml@{first}") == []
    assert codes(f"{base}//a/clean.yaml@main") == codes(f"{base}//a/clean.yaml") == ["moving-reference"]


@pytest.mark.parametrize("revision", ["v1.2", "feature/x"])
def test_a_recipe_without_a_name_is_called_by_its_file(repository, here, revision):
    made = repository("recipes")
    made.commit({"a/clean.yaml": CLEAN}, tag=revision)
    assert surgery.load(f"{made.file_reference}//a/clean.yaml@{revision}").name == "clean"


def test_a_recipe_is_run_by_its_reference(repository, here):
    made = repository("recipes")
    made.commit(
        {"clean.yaml": f"params: {{x: {{type: path}}}}\nsource: $x\n{CLEAN}\noutput: out.safetensors"}, tag="v1"
    )
    result = surgery.run(f"{made.file_reference}//clean.yaml@v1", params={"x": "model.pt"})
    assert [Path(written.path) for written in result.written] == [here / "out.safetensors"]
    assert surgery.load(f"{made.file_reference}//clean.yaml@v1").warnings == ()
    (warning,) = surgery.load(f"{made.file_reference}//clean.yaml").warnings
    assert warning.code == "moving-reference"


def test_recipes_of_one_repository_use_each_other_at_one_commit(repository, here):
    made = repository("recipes")
    files = {
        "top.yaml": "steps: [use: parts/one.yaml]",
        "parts/one.yaml": "steps: [use: ../two.yaml]",
        "two.yaml": CLEAN,
    }
    made.commit(files, tag="v1")
    made.commit({"two.yaml": "steps: [{rename: 'nothing -> more'}]"})
    assert run(f"{made.file_reference}//top.yaml@v1") == ["a"]
    made.commit({"top.yaml": "steps: [use: ../../outside.yaml]"}, tag="v2")
    assert "leads out of the repository" in failure(f"{made.file_reference}//top.yaml@v2")


def test_a_recipe_that_names_a_repository_needs_permission(repository, http_server, here):
    made = repository("recipes")
    commit = made.commit({"clean.yaml": CLEAN}, tag="v1")
    address = f"{http_server}/recipes/.git//clean.yaml"
    assert "error[not-allowed]" in failure(f"{address}@v1", ())
    assert "error[not-allowed]" in failure(f"{address}@{commit}", ())
    assert "error[not-allowed]" in failure(f"{made.file_reference}//clean.yaml@v1", ("network",))
    assert run(f"{address}@v1", ("network",)) == ["a"]
    # what is here is here
    assert run(f"{address}@{commit}", ()) == ["a"]
    assert "error[not-allowed]" in failure(f"{address}@v1", ())


def test_a_commit_is_fetched_once_and_never_again(repository, here, own_cache):
    made = repository("recipes")
    commit = made.commit({"clean.yaml": CLEAN, "weights.bin": b"\0" * 100, "README.md": "x"}, tag="v1")
    run(f"{made.file_reference}//clean.yaml@v1")
    kept = [path for path in own_cache.rglob("*") if path.is_file()]
    assert [path.name for path in kept] == [f"{commit}.json"]
    assert json.loads(kept[0].read_text()) == {"clean.yaml": CLEAN}
    made.path.rename(made.path.with_name("gone"))
    assert run(f"{made.file_reference}//clean.yaml@{commit}") == ["a"]
    said = failure(f"{made.file_reference}//clean.yaml@v1")
    assert "error[download]: git cannot read" in said
    for damaged in ("{", "[]", '{"clean.yaml": 1}', "\0"):
        kept[0].write_text(damaged)
        assert "is damaged" in failure(f"{made.file_reference}//clean.yaml@{commit}")


def test_what_is_not_there(repository, here):
    made = repository("recipes")
    made.commit({"clean.yaml": CLEAN}, tag="v1")
    assert "did you mean `clean.yaml`?" in failure(f"{made.file_reference}//clan.yaml@v1")
    unknown = failure(f"{made.file_reference}//clean.yaml@v2")
    assert "has no revision `v2`" in unknown
    assert "abbreviated" not in unknown
    assert "abbreviated commits are not looked up" in failure(f"{made.file_reference}//clean.yaml@0123abc")
    assert "git cannot fetch" in failure(f"{made.file_reference}//clean.yaml@{'1' * 40}")
    assert "has no revision `HEAD`" in failure(f"{repository('empty').file_reference}//clean.yaml")
    monkey = {"PATH": ""}
    code = f"import surgery; surgery.load('{made.file_reference}//clean.yaml@v1')"
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, **monkey}, capture_output=True, text=True)
    assert "error[download]: git is not installed" in ended.stderr


def test_nothing_of_a_repository_runs_or_leads_out_of_it(repository, here, tmp_path):
    """Hooks, filters, submodules, symbolic links and odd paths of a repository have no say."""
    made, other = repository("recipes"), repository("other")
    other.commit({"x.yaml": CLEAN})
    secret = tmp_path / "secret.yaml"
    secret.write_text(CLEAN)
    ran = tmp_path / "ran"
    for hook in ("post-checkout", "pre-receive", "upload-pack", "reference-transaction"):
        file = made.path / ".git/hooks" / hook
        file.write_text(f"#!/bin/sh\ntouch {ran}\n")
        file.chmod(0o755)
    made.git("config", "uploadpack.packObjectsHook", f"touch {ran} &&")
    made.git("config", "filter.evil.smudge", f"touch {ran}")
    (made.path / "link.yaml").symlink_to(secret)
    made.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), "sub")
    ran.unlink(missing_ok=True)
    made.commit({"clean.yaml": CLEAN, ".gitattributes": "*.yaml filter=evil"}, tag="v1")
    ran.unlink(missing_ok=True)
    assert run(f"{made.file_reference}//clean.yaml@v1") == ["a"]
    assert not ran.exists()
    assert "there is no recipe `link.yaml`" in failure(f"{made.file_reference}//link.yaml@v1")
    assert "there is no recipe `sub/x.yaml`" in failure(f"{made.file_reference}//sub/x.yaml@v1")


def test_git_that_runs_a_hook_reads_the_right_repository(repository, here, monkeypatch):
    """git sets variables for its hooks, and surgery may run in one: of a commit, say."""
    made, other = repository("recipes"), repository("other")
    made.commit({"clean.yaml": CLEAN}, tag="v1")
    other.commit({"x.yaml": CLEAN})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git/index"))
    assert run(f"{made.file_reference}//clean.yaml@v1") == ["a"]


def test_two_at_once(repository, here):
    made = repository("recipes")
    made.commit({"clean.yaml": CLEAN}, tag="v1")
    code = f"import surgery; surgery.load('{made.file_reference}//clean.yaml@v1')"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]


def test_a_recipe_that_is_not_utf8_says_where(repository, here):
    made = repository("recipes")
    made.commit({"clean.yaml": b"steps: []\n# \xff\n"}, tag="v1")
    said = failure(f"{made.file_reference}//clean.yaml@v1")
    assert "error[yaml]" in said
    assert f"{made.file_reference}//clean.yaml@v1" in said


@pytest.mark.parametrize(
    "recipe",
    [
        "source: ../here/model.pt",
        "source: {path}",
        "source: package://torch/version.py",
        "source: ~/model.pt",
        "source: $x\nsteps: [load: {from: '{path}'}]",
        "source: $x\nexpect: {like: '{path}'}",
        "params: {y: {type: path, default: '{path}'}}\nsource: $y",
        "params: {y: {type: path, default: '{path}'}}\nsource: {recipe: inner.yaml, params: {x: $y}}",
        "source: {recipe: inner.yaml, params: {x: '{path}'}}",
        "source: {recipe: 'builtin:soup', params: {a: '{path}', b: '{path}', c: '{path}'}}",
        "params: {n: {type: integer, from: '{json}#/n'}}\nsource: x.pt\nseed: $n",
        # a value that the caller gives for something else, or a path from which the recipe leads up again
        "source: $directory/../model.pt",
        "source: '${directory}/../../here/model.pt'",
        "source: '${word}{path}'",
        "source: '${slash}{path}'",
        "params: {y: {type: path, default: '$directory/../model.pt'}}\nsource: $y",
        "params: {n: {type: integer, from: '$directory/../config.json#/n'}}\nsource: $x\nseed: $n",
        "params: {up: ../config.json, n: {type: integer, from: '$directory/$up#/n'}}\nsource: $x\nseed: $n",
        "source: {recipe: inner.yaml, params: {x: '$directory/../model.pt'}}",
        "source: {recipe: inner.yaml, params: {x: '${word}{path}'}}",
        # what a shipped recipe reads for itself, it does not read for a recipe from elsewhere
        "source: $x\nsteps: [use: {recipe: 'builtin:llama/group_heads', params: {model: '{here}', groups: 1}}]",
    ],
)
def test_a_recipe_from_elsewhere_reads_no_file_that_its_caller_does_not_name(repository, here, recipe):
    Path("config.json").write_text('{"n": 1, "num_key_value_heads": 1}')
    Path("directory").mkdir()
    made = repository("recipes")
    text = recipe.replace("{path}", str(here / "model.pt")).replace("{json}", str(here / "config.json"))
    given = {"x": "model.pt", "directory": "directory", "word": "", "slash": "/"}
    own, text = text.split("\n", 1) if text.startswith("params") else ("params: {}", text)
    declared = "x: {type: path}, directory: {type: path}, word: {type: string}, slash: {type: string}"
    head = own.replace("params: {", f"params: {{{declared}, ").replace(", }", "}")
    inner = "params: {x: {type: path}}\nsource: $x"
    made.commit({"evil.yaml": f"{head}\n{text.replace('{here}', str(here))}", "inner.yaml": inner}, tag="v1")
    reference = f"{made.file_reference}//evil.yaml@v1"
    with pytest.raises(SurgeryError) as caught:
        surgery.load(reference).plan(params=given)
    assert {d.code for d in caught.value.diagnostics if d.severity == "error"} == {"not-allowed"}
    assert "is a file of this machine" in str(caught.value)
    with pytest.raises(SurgeryError) as caught:
        surgery.load({"source": {"recipe": reference, "params": given}}).plan(allow=["include:.."])
    assert {d.code for d in caught.value.diagnostics if d.severity == "error"} == {"not-allowed"}


def test_a_recipe_from_elsewhere_reads_what_its_caller_names_and_what_lies_below(repository, here):
    (here / "directory").mkdir()
    torch.save({"a": torch.ones(2)}, "directory/weights.pt")
    Path("directory/config.json").write_text('{"n": 1}')
    made = repository("recipes")
    inner = "params: {x: {type: path}}\nsource: $x"
    outer = """
    params: {directory: {type: path}, n: {type: integer, from: "$directory/config.json#/n"}}
    source: {recipe: inner.yaml, params: {x: "$directory/weights.pt"}}
    seed: $n
    """
    made.commit({"outer.yaml": outer, "inner.yaml": inner}, tag="v1")
    loaded = surgery.load(f"{made.file_reference}//outer.yaml@v1")
    assert list(loaded.run(directory="directory").state_dict) == ["a"]


def test_a_recipe_from_elsewhere_uses_no_repository_beside_its_caller(repository, here):
    """The directory of the caller's recipe is the caller's: what lies there is for its own recipes."""
    made = repository("recipes")
    own = type(made)(here / "own")
    own.commit({"clean.yaml": CLEAN}, tag="v1")
    made.commit({"evil.yaml": f"steps: [use: '{own.file_reference}//clean.yaml@v1']"}, tag="v1")
    assert run(f"{own.file_reference}//clean.yaml@v1", ()) == ["a"]
    allowed = (f"include:{made.path}",)
    assert "error[not-allowed]" in failure(f"{made.file_reference}//evil.yaml@v1", allowed)


@pytest.mark.parametrize(
    "output",
    [
        "{outside}/x.safetensors",
        "../x.safetensors",
        "there.safetensors",
        "link/x.safetensors",
        ".git/x.safetensors",
        "$x/../../outside/x.safetensors",
        "${word}{outside}/x.safetensors",
    ],
)
def test_a_recipe_from_elsewhere_writes_beside_its_caller_and_over_nothing(repository, here, tmp_path, output):
    (tmp_path / "outside").mkdir()
    (here / "link").symlink_to(tmp_path / "outside")
    (here / "there.safetensors").write_bytes(b"mine")
    made = repository("recipes")
    path = output.replace("{outside}", str(tmp_path / "outside"))
    head = "params: {x: {type: path}, word: {type: string}}\nsource: $x\n"
    made.commit({"evil.yaml": f"{head}output: {{path: '{path}', overwrite: true}}"}, tag="v1")
    reference = f"{made.file_reference}//evil.yaml@v1"
    with pytest.raises(SurgeryError) as caught:
        surgery.run(reference, params={"x": "model.pt", "word": ""})
    assert {d.code for d in caught.value.diagnostics} <= {"not-allowed", "output-exists"}
    assert not list((tmp_path / "outside").iterdir())
    assert (here / "there.safetensors").read_bytes() == b"mine"


def test_the_tests_of_a_recipe_from_elsewhere_read_nothing_but_their_own_files(repository, here):
    made = repository("recipes")
    path = here / "model.pt"
    recipe = f"""
    params: {{x: {{type: path}}}}
    source: $x
    steps: [use: clean.yaml]
    tests:
      - {{name: own, files: {{x.pt: {{keys: {{module.a: [2]}}}}}}, params: {{x: x.pt}}, expect: {{keys: 1}}}}
      - {{name: source, source: {{checkpoint: {path}}}, params: {{x: x.pt}}, expect: {{keys: 1}}}}
      - {{name: parameter, params: {{x: {path}}}, expect: {{keys: 1}}}}
      - {{name: up, params: {{x: ../x.pt}}, expect: {{keys: 1}}}}
      - {{name: package, params: {{x: "package://torch/version.py"}}, expect: {{keys: 1}}}}
    """
    made.commit({"top.yaml": recipe, "clean.yaml": CLEAN}, tag="v1")
    outcomes = try_recipe(f"{made.file_reference}//top.yaml@v1", frozenset()).outcomes
    assert {o.name: o.status for o in outcomes} == {
        "own": "ok",
        **dict.fromkeys(("source", "parameter", "up", "package"), "skipped"),
    }


def test_what_is_too_long_for_a_recipe_is_left_where_it_is(repository, here, own_cache):
    made = repository("recipes")
    made.git("config", "uploadpack.allowFilter", "true")
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    files = {"clean.yaml": CLEAN, "data.yaml": "#" * 1_000_001, "weights.bin": b"\1" * 3_000_000}
    made.commit({**files, "long.yaml": "#" * 1_000_000}, tag="v1")
    assert run(f"{made.file_reference}//clean.yaml@v1") == ["a"]
    assert "there is no recipe `data.yaml`" in failure(f"{made.file_reference}//data.yaml@v1")
    (kept,) = (path for path in own_cache.rglob("*.json"))
    assert set(json.loads(kept.read_text())) == {"clean.yaml", "long.yaml"}


def test_a_repository_with_long_commits(repository, here, tmp_path):
    made = repository("recipes")
    made.path = tmp_path / "long"
    made.path.mkdir()
    made.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    commit = made.commit({"clean.yaml": CLEAN}, tag="v1")
    assert len(commit) == 64
    assert run(f"{made.file_reference}//clean.yaml@v1") == ["a"]
    assert run(f"{made.file_reference}//clean.yaml@{commit}") == ["a"]


def test_trees_that_no_honest_git_makes(repository, here):
    """Directories inside themselves a million times over, and paths that lead out."""
    made = repository("recipes")
    made.commit({"x.yaml": CLEAN})
    blob = made.git("rev-parse", "HEAD:x.yaml")

    def tree(*entries: tuple[bytes, bytes, str]) -> str:
        content = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(made_of) for mode, name, made_of in entries)
        (made.path / ".git/tree").write_bytes(content)
        return made.git("hash-object", "-t", "tree", "-w", "--literally", ".git/tree")

    inner = tree((b"100644", b"x.yaml", blob))
    odd = tree(
        *((b"100644", name, blob) for name in (b"-o.yaml", b"a\\b.yaml", b"\xff.yaml", b"\x1b[31m.yaml", b"a\nb.yaml")),
        *((b"40000", name, inner) for name in (b"..", b".", b"plain")),
        *((mode, b"link.yaml", blob) for mode in (b"120000", b"160000")),
    )
    made.git("tag", "odd", made.git("commit-tree", "-m", "odd", odd))
    listed = {found.display.partition("//")[2] for found in collection(f"{made.file_reference}@odd")}
    assert {name.partition("//")[2] for name in listed} == {"-o.yaml@odd", "plain/x.yaml@odd"}
    bomb = inner
    for _ in range(8):
        bomb = tree(*((b"40000", b"%d" % number, bomb) for number in range(10)))
    made.git("tag", "bomb", made.git("commit-tree", "-m", "bomb", bomb))
    assert "git printed more than" in failure(f"{made.file_reference}//x.yaml@bomb")


def test_the_settings_of_git_may_say_where_a_repository_is(repository, here, tmp_path, monkeypatch):
    """A mirror of the caller's, though not by a protocol that runs a program, whatever the environment allows."""
    made = repository("recipes")
    made.commit({"clean.yaml": CLEAN}, tag="v1")
    settings = tmp_path / "settings"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext:https:file")
    settings.write_text(f'[url "file://{made.path.parent}/"]\n insteadOf = https://github.com/you/\n')
    assert run("github:you/recipes//clean.yaml@v1", ("network",)) == ["a"]
    settings.write_text(f'[url "ext::sh -c touch% {tmp_path}/ran "]\n insteadOf = https://github.com/you/\n')
    assert "transport 'ext' not allowed" in failure("github:you/recipes//clean.yaml@v1", ("network",))
    assert not (tmp_path / "ran").exists()


def test_the_reference_of_what_was_found_names_its_commit(repository):
    made = repository("recipes")
    commit = made.commit({"clean.yaml": CLEAN}, tag="v1")
    found = parse_reference(f"{made.file_reference}//clean.yaml@v1").find(None)
    assert found.commit == commit
    assert str(found.reference) == f"{made.file_reference}//clean.yaml@{commit}"
    assert (found.is_foreign, found.is_moving, found.content) == (True, False, CLEAN.encode())
