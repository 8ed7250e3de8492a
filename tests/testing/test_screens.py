"""`surgery test` on the command line: screens, JSON, JUnit, exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

RECIPES = {
    "recipes/good.yaml": """\
params: {model: {type: path}}
source: {checkpoint: $model}
steps: [{rename: "module.** -> **"}]
tests:
  - name: the wrapper goes
    files: {in.pth: {keys: {"module.(a|b).weight": [2, 3]}}}
    params: {model: in.pth}
    expect: {keys: {"(a|b).weight": [2, 3]}}
  - name: a model of somebody else
    source: {python: "no_such_package:Net"}
""",
    "recipes/deep/bad.yaml": """\
source: in.pth
steps: [{rename: "module.** -> **"}]
tests:
  - name: the keys
    files: {in.pth: {keys: {module.a.weight: [2, 3], module.b: [1]}}}
    expect: {keys: {a.weight: [3, 2]}}
  - name: an error that does not come
    files: {in.pth: {keys: {module.a.weight: [2, 3]}}}
    error: unused-rule
""",
    "recipes/untested.yaml": "steps: []\n",
    "recipes/broken.yaml": 'steps: [{renmae: "a -> b"}]\n',
    "recipes/.hidden.yaml": "steps: [\n",
    "recipes/mkdocs.yaml": "site_name: not a recipe\n",
}


@pytest.fixture(autouse=True)
def recipes(directory: Path) -> None:
    for name, text in RECIPES.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def test_a_directory(surgery, golden):
    golden("testing/directory", surgery("test recipes"))


def test_side_by_side(surgery):
    one, two = (surgery(f"test recipes -j {jobs} --limit tensors=1").partition("\n")[2] for jobs in (1, 2))
    assert one == two
    assert "error[too-large]" in one, "limits are those of the caller"


def test_a_process_that_dies(surgery, directory, monkeypatch):
    """Of code that ends it, or of too little memory."""
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))  # what such a process leaves behind
    (directory / "ending_models.py").write_text("import os\nos._exit(1)\n", encoding="utf-8")
    text = 'source: {python: "ending_models:Net"}\ntests: [{name: a}]\n'
    (directory / "recipes/good.yaml").write_text(text, encoding="utf-8")
    assert "error[test-failed]: a process died while it tried a case" in surgery(
        "test recipes -j 2 --allow import:ending_models"
    )


WAITING = """\
import os, time
def wait():
    open(os.path.join(os.environ["TMPDIR"], f"begun-{os.getpid()}"), "w").close()
    time.sleep(60)
"""


def test_interrupted_side_by_side(directory):
    """No case is begun any more, and no directory stays."""
    (directory / "waiting_models.py").write_text(WAITING, encoding="utf-8")
    apart = directory / "apart"
    apart.mkdir()
    case = 'source: {python: "waiting_models:wait"}\ntests: [{name: a}, {name: b}]\n'
    for name in "123":
        (directory / f"{name}.yaml").write_text(case, encoding="utf-8")
    line = [
        sys.executable,
        "-m",
        "surgery",
        "test",
        *(f"{n}.yaml" for n in "123"),
        "-j2",
        "--allow",
        "import:waiting_models",
    ]
    env = {**os.environ, "TMPDIR": str(apart), "PYTHONPATH": str(directory)}
    with subprocess.Popen(line, env=env, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while len(list(apart.glob("begun-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (130, "")
    assert len(list(apart.glob("begun-*"))) == 2
    assert not list(apart.glob("surgery-test-*"))


SAID = {
    "quiet": "test recipes -q",
    "one case": "test recipes -k wrapper",
    "no such case": "test recipes/good.yaml -k nothing",
    "nothing there": "test recipes/goood.yaml",
    "an empty directory": "test empty",
    "the network": "test recipes --allow network",
    "no path": "test",
    "no jobs": "test recipes -j 0",
}


def test_what_is_said(surgery, golden, directory):
    (directory / "empty").mkdir()
    golden("testing/said", "\n".join(surgery(line) for line in SAID.values()))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("recipes", 1),
        ("recipes/good.yaml", 0),
        ("recipes/good.yaml --strict", 1),
        ("recipes/untested.yaml", 0),
        ("recipes/untested.yaml --strict", 1),
        ("recipes/good.yaml --strict -k wrapper", 0),
        ("recipes/broken.yaml recipes/good.yaml", 2),
    ],
)
def test_exit_status(line, status, surgery):
    assert surgery(f"test {line}").endswith(f"--- exit {status}\n")


def test_json(surgery):
    text = surgery("test recipes --json")
    found = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert found["totals"] == {"ok": 1, "failed": 2, "skipped": 1}
    by_file = {recipe["file"]: recipe for recipe in found["recipes"]}
    assert [error["code"] for error in by_file["recipes/broken.yaml"]["errors"]] == ["unknown-step"]
    failed = by_file["recipes/deep/bad.yaml"]["tests"][0]
    assert (failed["name"], failed["status"], failed["place"]["line"]) == ("the keys", "failed", 4)
    assert failed["errors"][0]["code"] == "check-failed"
    assert by_file["recipes/good.yaml"]["tests"][1]["reason"] == "`no_such_package` is not installed"


def test_junit(surgery, directory):
    surgery("test recipes --junit out/report.xml -q")
    surgery("test recipes --junit out/report.xml -q")
    root = xml.parse(directory / "out/report.xml").getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert {name: suite.get("tests") for name, suite in suites.items()} == {
        "recipes/good.yaml": "2",
        "recipes/deep/bad.yaml": "2",
        "recipes/untested.yaml": "0",
        "recipes/broken.yaml": "1",
    }
    case = suites["recipes/deep/bad.yaml"][0]
    assert (case.get("name"), case.get("line"), case[0].tag) == ("the keys", "4", "failure")
    assert "another shape" in case[0].get("message")
    assert suites["recipes/broken.yaml"][0][0].tag == "error"
    assert suites["recipes/good.yaml"][1][0].tag == "skipped"


def test_a_name_that_xml_cannot_hold(surgery, directory):
    (directory / "odd.yaml").write_text(
        'steps: []\ntests: [{name: "a\\eb <&> \\x01", error: yaml}]\n', encoding="utf-8"
    )
    surgery("test odd.yaml --junit report.xml")
    (case,) = xml.parse(directory / "report.xml").getroot().iter("testcase")
    assert case.get("name") == "a\\x1bb <&> \\x01"
