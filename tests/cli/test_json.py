"""``--json``: one document on stdout, with its version, whatever happens."""

import json

import pytest
from click.testing import CliRunner

from surgery.cli.main import command

WEIGHTS = ["-p", "weights=model.safetensors"]


def run(*args: str) -> tuple[dict, int]:
    result = CliRunner().invoke(command, [*args, "--json"])
    document = json.loads(result.stdout)
    assert document["version"] == 1
    return document, result.exit_code


def test_plan(place):
    document, status = run("plan", "recipe.yaml", *WEIGHTS)
    assert status == 0
    assert {one["outcome"] for one in document["sources"]} == {"renamed", "consumed", "dropped"}
    assert len(document["sources"]) == 51
    by_key = {one["key"]: one for one in document["results"]}
    query = by_key["layer.3.query.weight"]
    assert (query["dtype"], query["shape"], query["bytes"]) == ("bfloat16", [8, 8], 128)
    assert query["from"] == [{"source": "model.safetensors", "key": "module.blocks.3.attn.qkv.weight"}]
    assert [touch["step"] for touch in query["by"]] == ["rename", "convert", "cast"]
    assert query["by"][1]["place"]["line"] == 9
    assert document["totals"]["tensors"] == len(by_key) == 98
    assert document["cost"].keys() == {"read", "written", "peak"}


def test_the_plan_of_apply(place):
    document, status = run("apply", "model.safetensors", "out.pth", "--plan")
    assert status == 0
    assert document["totals"]["tensors"] == 51
    assert not (place / "out.pth").exists()


def test_run(place):
    document, status = run("run", "recipe.yaml", *WEIGHTS)
    assert status == 0
    (written,) = document["written"]
    assert written["tensors"] == 98
    assert sum(written["files"].values()) == (place / "out.safetensors").stat().st_size


def test_inspect(place):
    document, _ = run("inspect", "model.safetensors")
    (state,) = document["state_dicts"]
    assert state["entry"] is None
    assert state["tensors"][-1] == {"key": "module.steps", "dtype": "int64", "shape": [], "bytes": 8, "kind": None}


def test_match(place):
    document, _ = run("match", "module.blocks.{i:int}.*", "model.safetensors")
    assert document["selected"][1]["took"] == [{"part": "i", "text": "0"}, {"part": "*", "text": "attn"}]
    assert document["selected"][1]["rest"] == "qkv.bias"


def test_match_with_a_rule(place):
    document, _ = run("match", "module.head -> fc", "model.safetensors")
    (changed,) = [one for one in document["after"] if one["by"]]
    assert (changed["key"], changed["from"][0]["key"]) == ("fc.weight", "module.head.weight")


def test_explain(place):
    document, _ = run("explain", "module.steps", "recipe.yaml", *WEIGHTS)
    assert document["result"] is None
    assert [fate["outcome"] for fate in document["sources"]] == ["dropped"]


def test_check(place):
    (place / "wrong.yaml").write_text("steps: [{renmae: a}]")
    document, status = run("check", "recipe.yaml", "wrong.yaml")
    assert status == 2
    assert [one["ok"] for one in document["recipes"]] == [True, False]
    (error,) = document["recipes"][1]["errors"]
    assert error["code"] == "unknown-step"
    assert error["place"] == {"file": "wrong.yaml", "line": 1, "column": 10, "length": 6}


@pytest.mark.parametrize(
    ("args", "status", "code"),
    [
        (("plan", "recipe.yaml"), 2, "parameter-value"),
        (("inspect", "missing.pth"), 3, "no-file"),
        (("match", "nothing", "model.safetensors"), 2, "unused-rule"),
        (("explain", "nothing", "recipe.yaml", *WEIGHTS), 2, "unknown-key"),
    ],
)
def test_errors(place, args, status, code):
    document, found = run(*args)
    assert found == status
    assert [error["code"] for error in document["errors"]] == [code]
