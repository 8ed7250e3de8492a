"""Limits: each refuses, says how it is raised, and then lets through; nobody but the caller can raise one."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from click.testing import CliRunner

import surgery
from surgery.cli.main import command
from surgery.document.emit import emit
from surgery.document.parse import parse_document
from surgery.formats import read
from surgery.formats.entries import choose
from surgery.lang import parse_rules
from surgery.lang.pattern import Pattern
from surgery.limits import NAMES, Limits, about, limit_note, limited, limits
from surgery.model.building import build
from surgery.params.pointer import read_pointer
from surgery.text import Text

Need = tuple[Any, Any, Callable[[], Any]]


def create() -> Any:
    return surgery.load([{"create": "x -> zeros(1000)"}]).plan(state_dict={"w": torch.ones(1)})


def bringing() -> Any:
    Path("x.yaml").write_text("steps: [{rename: 'optional q -> r'}]")
    recipe = surgery.load({"steps": [{"use": "x.yaml"}, {"use": "x.yaml"}]})
    return recipe.plan(state_dict={"w": torch.ones(1)})


def nested(depth: int) -> Any:
    tree: Any = {"w": torch.ones(2)}
    for _ in range(depth):
        tree = {"a": tree}
    torch.save({"model": {"b": torch.ones(1), "c": torch.ones(1), "deep": tree}}, "deep.pt")
    return choose(read("deep.pt"), ".")


def torch_file() -> Any:
    torch.save({"w": torch.ones(3)}, "a.pt")
    return read("a.pt")


def header() -> Any:
    from safetensors.torch import save_file

    save_file({f"w{i}": torch.ones(1) for i in range(20)}, "a.safetensors")
    return read("a.safetensors")


def compressed() -> Any:
    numpy.savez_compressed("a.npz", a=numpy.zeros(1000))
    return read("a.npz")


def expanded() -> Any:
    torch.save(torch.ones(1).expand(1000), "a.pt")
    return read("a.pt")


def config() -> Any:
    Path("config.json").write_text(json.dumps({"a": [0] * 1000}))
    return read_pointer(Path("config.json"), "/a/0")


def record() -> Any:
    surgery.load({"output": "out.pt"}).run(state_dict={"w": torch.ones(1)}, overwrite=True)
    return read("out.pt")


def tries() -> Any:
    return Pattern.of_text("{b:**}.{a}.{c:**}.{a}.x").match([*map(str, range(20)), "x"])


def module() -> Any:
    torch.save(torch.nn.Linear(2, 2), "module.pt")
    return surgery.load({"source": {"checkpoint": "module.pt"}}).plan(allow="pickle")


def layers() -> Any:
    return build(lambda: torch.nn.Sequential(*(torch.nn.Linear(5, 5) for _ in range(4))))


def rules(text: str) -> Any:
    return parse_rules(Text.plain(text), "key")


#: limit -> too small for what is done, enough for it, and what is done
CASES: dict[str, Need] = {
    "tensor": (3999, 4000, create),
    "model": (479, "0.48kB", layers),
    "tensors": (7, 8, layers),
    "header": (100, "100kB", header),
    "pickle": (20, "10kB", torch_file),
    "entries": (2, 20, torch_file),
    "inflated": (100, "10kB", compressed),
    "expanded": (3999, 4000, expanded),
    "depth": (5, 300, lambda: nested(20)),
    "config": (100, 10_000, config),
    "recipe": (5, 100, lambda: surgery.load({"steps": []})),
    "recipes": (1, 2, bringing),
    "record": (10, "1MB", record),
    "nodes": (3, 100, lambda: parse_document("[1, 2, 3, 4]", "r.yaml")),
    "nesting": (2, 150, lambda: parse_document("[[[[1]]]]", "r.yaml")),
    "aliases": (1, 2, lambda: parse_document("[&a 1, *a, *a]", "r.yaml")),
    "rule": (5, 100, lambda: rules("weight -> other")),
    "segments": (3, 4, lambda: rules("a.b.c.d -> x")),
    "tries": (10, 100_000, tries),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_a_limit_refuses_and_is_raised(name: str) -> None:
    small, enough, act = CASES[name]
    with limited({name: small}), pytest.raises(surgery.SurgeryError) as caught:
        act()
    (diagnostic,) = {d.code: d for d in caught.value.diagnostics}.values()
    assert diagnostic.code == "too-large"
    said = re.search(r"`--limit (\w+)=(\w+)`, or `limits=\{'(\w+)': ", str(caught.value))
    assert said is not None, caught.value
    assert said[1] == said[3] == name
    # what the error proposes is enough, or at least nearer
    with limited({name: enough}):
        act()
    act()


def test_every_limit_has_a_case() -> None:
    assert {*CASES, "download"} == set(NAMES), "downloads are in tests/places"


def test_what_an_error_proposes_is_enough() -> None:
    for name in ("tensor", "expanded", "header", "config"):
        small, _, act = CASES[name]
        with limited({name: small}), pytest.raises(surgery.SurgeryError) as caught:
            act()
        value = re.search(r"--limit \w+=(\w+)", str(caught.value))
        assert value is not None
        with limited({name: value[1]}):
            act()


def test_the_file_of_a_live_module_is_limited_too() -> None:
    with limited({"model": "1kB"}), pytest.raises(surgery.SurgeryError, match="`--limit model=3kB`"):
        module()
    module()


def test_limits_nest_and_end() -> None:
    with limited({"tensor": 5}):
        with limited({"header": 7}):
            assert (limits().tensor, limits().header) == (5, 7)
        assert limits().header == Limits().header
    assert limits() == Limits()


@pytest.mark.parametrize(
    ("values", "words"),
    {
        "unknown": ({"tensr": 1}, "did you mean `tensor`"),
        "far": ({"xyzzy": 1}, "limits: tensor, model"),
        "no number": ({"tensor": "much"}, "is a number: `much` is none"),
        "zero": ({"tensor": 0}, "`0` is none"),
        "negative": ({"tensor": "-5GB"}, "`-5GB` is none"),
        "a flag": ({"tensor": True}, "`True` is none"),
        "beyond the stack": ({"depth": 10_000}, "300 is what Python's stack can hold"),
        "escapes": ({"tensor": "\x1b[31m"}, r"`\\x1b\[31m` is none"),
    }.values(),
)
def test_wrong_limits(values: dict[str, Any], words: str) -> None:
    with pytest.raises(surgery.SurgeryError, match=words) as caught, limited(values):
        pass
    assert caught.value.diagnostics[0].code == "usage"
    assert limits() == Limits()


def test_from_python() -> None:
    recipe = {"steps": [{"create": "x -> zeros(1000)"}]}
    given = {"state_dict": {"w": torch.ones(1)}}
    with pytest.raises(surgery.SurgeryError, match="limit `tensor`"):
        surgery.load(recipe).plan(**given, limits={"tensor": 10})
    with pytest.raises(surgery.SurgeryError, match="limit `tensor`"):
        surgery.run(recipe, **given, limits={"tensor": "1kB"})
    with pytest.raises(surgery.SurgeryError, match="limit `rule`"):
        surgery.load(recipe, limits={"rule": 5})
    surgery.run(recipe, **given, limits={"tensor": "4kB"})


def test_from_the_command_line() -> None:
    torch_file()
    run = CliRunner().invoke
    refused = run(command, ["inspect", "a.pt", "--limit", "entries=2", "--limit", "header=1GB"])
    assert refused.exit_code == 2
    assert "`--limit entries=" in refused.stderr
    assert run(command, ["inspect", "a.pt", "--limit", "entries=20"]).exit_code == 0
    assert limits() == Limits()
    listed = run(command, ["list", "limits"]).stdout
    assert all(name in listed for name in NAMES)


@pytest.mark.parametrize("name", ["SURGERY_LIMIT", "SURGERY_LIMITS", "SURGERY_LIMIT_TENSOR"])
def test_no_recipe_and_no_environment_raises_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "tensor=1TB")
    assert limits() == Limits()
    with pytest.raises(surgery.SurgeryError) as caught:
        surgery.load({"limits": {"tensor": "1TB"}, "steps": []})
    assert caught.value.diagnostics[0].code == "unknown-word"


def test_the_highest_values_hold() -> None:
    """What a limit may be raised to at most works: no `RecursionError`."""
    with limited({"depth": 300, "nesting": 150}):
        assert len(nested(290).tensors) == 3
        parse_document("[" * 149 + "1" + "]" * 149, "r.yaml")
        value: Any = 1
        for _ in range(148):
            value = [value]
        surgery.load({"steps": [{"rename": "a -> b", "note": "x"}]})
        emit({"a": value})


def test_a_note_that_cannot_help_says_so() -> None:
    assert limit_note("depth", 500).endswith("and cannot be raised so far")
    with limited({"depth": 300}):
        assert limit_note("depth").endswith("and cannot be raised so far")
    assert all(about(name)["about"] for name in NAMES)


def test_the_names_of_a_tensor_of_terabytes() -> None:
    """A checkpoint of today passes: 1 TB in tensors of 250 GB, told by its header alone."""
    size = 250 * 10**9
    header = {
        f"w{i}": {"dtype": "F32", "shape": [size // 4], "data_offsets": [i * size, (i + 1) * size]} for i in range(4)
    }
    text = json.dumps(header).encode()
    with open("big.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        os.truncate(file.fileno(), 8 + len(text) + 10**12)
    recipe = surgery.load({"source": {"checkpoint": "big.safetensors"}, "steps": [{"cast": "** -> bfloat16"}]})
    assert recipe.plan().subject.entries["w3"].spec.nbytes == 125 * 10**9


def test_a_zip_of_many_entries() -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
    Path("a.pt").write_bytes(raw.getvalue())
    with limited({"entries": 1}):
        read("a.pt")


def test_a_run_is_under_the_limits_of_its_plan(tmp_path: Path) -> None:
    """The rest of this checkpoint lies deeper than the limit: it is flattened again when it is written."""
    tree: Any = 1
    for _ in range(220):
        tree = {"a": tree}
    torch.save({"model": {"w": torch.ones(2)}, "rest": tree}, tmp_path / "in.pt")
    recipe = surgery.load(
        {
            "source": {"checkpoint": {"path": str(tmp_path / "in.pt"), "entry": "model"}},
            "output": {"path": str(tmp_path / "out") + "/", "format": "dcp", "container": "keep"},
        }
    )
    with pytest.raises(surgery.SurgeryError, match="too-large"):
        recipe.plan()
    plan = recipe.plan(limits={"depth": 300})
    assert plan.cost.written
    assert plan.execute().written
