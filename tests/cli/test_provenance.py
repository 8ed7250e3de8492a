"""``show`` and ``verify`` of outputs: every screen, as it is."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from surgery.cli.main import command

RECIPE = """\
# whatever stands here is kept
source: {checkpoint: weights/model.safetensors}
steps:
  - rename: "module.** -> **"
  - filter: {keep: [embed, head]}
output: small.pth
"""


@pytest.fixture
def made(place, surgery):
    """A recipe in a file, its source below, and its output."""
    (place / "weights").mkdir()
    shutil.move(place / "model.safetensors", place / "weights")
    (place / "small.yaml").write_text(RECIPE)
    assert "wrote small.pth" in surgery("run small.yaml")
    return place / "small.pth"


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_show(made, surgery, golden):
    golden("cli/show_output", surgery("show small.pth"))
    assert surgery("show small.pth") == f"$ surgery show small.pth\n{RECIPE}--- exit 0\n"


def test_show_the_whole_record(made, surgery, golden):
    surgery("apply small.pth again.safetensors -e 'rename: \"head -> fc\"'")
    golden("cli/show_provenance", surgery("show again.safetensors --provenance"))


def test_show_what_has_none(made, surgery, golden):
    golden("cli/show_no_record", "\n".join(map(surgery, ("show weights/model.safetensors", "show weights"))))


def test_json(made):
    def run(*args):
        result = CliRunner().invoke(command, [*args, "--json"])
        return json.loads(result.stdout), result.exit_code

    document, status = run("show", "small.pth")
    assert (status, document["path"], document["record"]["recipe"]["text"]) == (0, "small.pth", RECIPE)
    document, status = run("verify", "small.pth", "-s", ".")
    assert (status, document["ok"]) == (0, True)
    assert [check["outcome"] for check in document["checks"]] == ["ok"] * 4
    assert [check["source"] for check in document["checks"]] == [None] * 3 + ["weights/model.safetensors"]
    document, status = run("verify", "weights/model.safetensors")
    assert (status, document["errors"][0]["code"]) == (3, "no-provenance")


def test_verify(made, surgery, golden):
    golden("cli/verify_output", "\n".join([surgery("verify small.pth"), surgery("verify small.pth --source .")]))


def test_verify_a_changed_source(made, surgery, golden):
    flip(Path("weights/model.safetensors"), -1)
    golden("cli/verify_changed_source", surgery("verify small.pth --source ."))


def test_verify_a_missing_source(made, surgery, golden):
    shutil.rmtree("weights")
    golden(
        "cli/verify_missing_source",
        "\n".join([surgery("verify small.pth -s ."), surgery("verify small.pth -s weights")]),
    )


def test_verify_a_flipped_byte(made, surgery, golden):
    surgery("apply small.pth summed.safetensors --digest")
    flip(made, made.read_bytes().index(b"archive/data/0") + 2_000)
    flip(Path("summed.safetensors"), -1)
    golden("cli/verify_flipped_byte", "\n".join([surgery("verify small.pth"), surgery("verify summed.safetensors")]))


def test_verify_no_record(made, surgery, golden):
    surgery("apply small.pth silent.pth --no-provenance")
    golden("cli/verify_no_record", "\n".join(map(surgery, ("verify silent.pth", "verify nowhere.pth"))))


@pytest.mark.parametrize("line", ["verify small.yaml", "show small.yaml --provenance", "show small.yaml --json"])
def test_a_recipe_is_no_output(made, surgery, line):
    found = surgery(line)
    assert "error[not-a-checkpoint]: `small.yaml` is no checkpoint: it is text" in found
    assert found.endswith("--- exit 3\n")


def test_quietly(made, surgery):
    assert surgery("verify small.pth -q -s .") == "$ surgery verify small.pth -q -s .\n--- exit 0\n"
    flip(Path("weights/model.safetensors"), -1)
    assert surgery("verify small.pth -q -s .").endswith("--- exit 1\n")


def test_inspect_tells_where_it_came_from(made, surgery):
    assert "`surgery show small.pth` prints the recipe that made it" in surgery("inspect small.pth")


def test_the_name_of_an_output_is_not_in_it(place, surgery):
    for name in ("a.pth", "b.pth"):
        surgery(f"apply model.safetensors {name}")
    assert Path("a.pth").read_bytes() == Path("b.pth").read_bytes()
