"""What a plan says of the rest of a checkpoint."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

import surgery
from surgery.report.json import result_document


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "run.pt"
    state = {"a": torch.ones(1), "b": torch.zeros(2)}
    content = {
        "model": state,
        "ema": {"a": torch.zeros(3)},
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, size=torch.Size([2])),
    }
    torch.save(content, path)
    return path


def remarks(path: Path, **output: Any) -> tuple[str, ...]:
    source = {"checkpoint": {"path": str(path), "entry": "model"}}
    return surgery.load({"source": source, "output": {"path": "out.pt", **output}}).plan().remarks


def test_a_bare_output_leaves_things_behind(checkpoint: Path) -> None:
    (remark,) = remarks(checkpoint)
    assert remark.startswith("left behind: `ema`, `epoch`, `args` of the checkpoint")


def test_a_kept_container_names_what_stays_and_what_code_is_in_it(checkpoint: Path) -> None:
    other, objects = remarks(checkpoint, container="keep")
    assert other == "kept unchanged: `ema` of the checkpoint"
    assert objects.startswith("written back as they stood: objects of `argparse.Namespace`. Surgery runs none")


def test_a_result_moves_inside_its_container(checkpoint: Path) -> None:
    moved, *_ = remarks(checkpoint, container="keep", entry="ema")
    assert moved.startswith("the result moves from `model` to `ema` of the checkpoint, and takes the place")


def test_entries_are_left_behind_by_name(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkpoint.parent)
    source = {"checkpoint": {"path": str(checkpoint), "entry": "model"}}
    kept = {"path": "out.pt", "container": "keep"}
    outputs = [{**kept, "without": ["args", "ema.a"]}, {**kept, "path": "all.pt"}]
    surgery.run({"source": source, "output": outputs})
    written = torch.load("out.pt", weights_only=True)
    assert (list(written), written["ema"]) == (["model", "ema", "epoch"], {})
    assert list(torch.load("all.pt", weights_only=False)) == ["model", "ema", "epoch", "args"]


def test_what_no_output_takes_along_is_not_spoken_of(checkpoint: Path) -> None:
    assert remarks(checkpoint, container="keep", without=["ema", "args"]) == ()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"container": "keep", "without": "arg"}, "no entry `arg` to leave behind.*did you mean `args`"),
        ({"container": "keep", "without": "args.lr"}, "no entry `args.lr` to leave behind"),
        ({"container": "keep", "without": "model"}, "`model` is what the result goes into"),
        ({"without": "ema"}, "`without` wants `container: keep`"),
    ],
)
def test_what_cannot_be_left_behind_is_an_error(checkpoint: Path, output: dict[str, Any], message: str) -> None:
    with pytest.raises(surgery.SurgeryError, match=f"(?s)error.entry.*{message}"):
        remarks(checkpoint, **output)


def test_without_outputs_nothing_is_left_behind(checkpoint: Path) -> None:
    assert surgery.load({"source": {"checkpoint": {"path": str(checkpoint), "entry": "model"}}}).plan().remarks == ()


def test_an_empty_result_is_a_warning() -> None:
    (warning,) = surgery.load({"steps": [{"filter": {"drop": "**"}}]}).plan({"a": torch.ones(1)}).warnings
    assert (warning.code, warning.severity) == ("empty-result", "warning")


def test_what_stands_beside_an_inner_state_dict_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    torch.save({"model": {"student": {"a": torch.ones(1)}, "step": 3}, "epoch": 1}, path)
    source = {"checkpoint": {"path": str(path), "entry": "model.student"}}
    (remark,) = surgery.load({"source": source, "output": "out.pt"}).plan().remarks
    assert remark.startswith("left behind: `epoch`, `model.step` of the checkpoint; ")


def test_the_result_says_what_was_left_behind_too(tmp_path: Path) -> None:
    path = tmp_path / "two.pt"
    torch.save({"a": torch.ones(2), "b": {"c": torch.zeros(2)}}, path)
    recipe = {"source": {"checkpoint": str(path)}, "output": str(tmp_path / "out.pt")}
    result = surgery.load(recipe).run()
    assert "  left behind: `a` of the checkpoint (1 tensor); `container: keep` takes them along\n" in result.report
    assert result_document(result)["remarks"] == list(result.plan.remarks)


def test_the_result_says_what_code_was_written_back(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"a": torch.ones(2), "e": argparse.Namespace(lr=1)}, path)
    report = surgery.load({"source": {"checkpoint": str(path)}, "output": str(tmp_path / "out.pt")}).run().report
    assert "written back as they stood: objects of `argparse.Namespace`" in report


def test_the_result_shows_warnings() -> None:
    report = surgery.load({"steps": [{"filter": {"drop": "**"}}]}).run(state_dict={"a": torch.ones(1)}).report
    assert "warning[empty-result]: the result has no tensors" in report
