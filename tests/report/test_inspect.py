"""Checkpoints as people save them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from surgery.cli.subjects import inspection_of
from surgery.report.contents import node_words
from surgery.report.inspect import inspect_lines
from surgery.report.json import inspect_document
from surgery.report.lines import plain


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    state = model.state_dict()
    state["head.weight"] = state["0.weight"]
    torch.save(
        {
            "epoch": 12,
            "loss": 0.5,
            "args": argparse.Namespace(lr=0.1),
            "config": {"lr": 0.1, "betas": [0.9, 0.99], "name": "x" * 100},
            "history": list(range(100)),
            "odd\x1b[31m": None,
            "model": state,
            "ema": {f"module.{key}": value.clone() for key, value in model.state_dict().items()},
            "optimizer": optimizer.state_dict(),
        },
        "train.pth",
    )
    return "train.pth"


def test_a_training_checkpoint(training, golden):
    found = inspection_of(training, entry=None, allow=())
    text = plain(inspect_lines(found))
    # the size of the file depends on the version of torch
    golden("report/inspect_training", text.split("\n", 1)[1])


def test_state_dicts_that_are_alike_are_shown_once(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"fc.weight": torch.ones(2, 4)}, "ema": {"fc.weight": torch.zeros(2, 4)}}, "run.pth")
    text = plain(inspect_lines(inspection_of("run.pth", entry=None, allow=())))
    assert text.count("[2, 4]") == 1
    assert text.rstrip().endswith("the same keys, shapes and dtypes as in `model`")


def test_one_entry_as_a_list(training, golden):
    found = inspection_of(training, entry="model", allow=())
    golden("report/inspect_entry", plain(inspect_lines(found, as_list=True)).split("\n", 1)[1])


def test_as_json(training):
    document = inspect_document(inspection_of(training, entry=None, allow=()))
    assert [state["entry"] for state in document["state_dicts"]] == ["model", "ema"]
    assert document["state_dicts"][0]["tied"] == [["0.weight", "head.weight"]]
    assert document["others"]["epoch"] == "12"


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        ({}, "empty mapping"),
        ([1, 2], "[1, 2]"),
        (list(range(100)), "list of 100"),
        (None, "None"),
        ({i: i for i in range(8)}, "mapping: 0 0, 1 1, 2 2, 3 3, 4 4, 5 5 and 2 more"),
        ({"a": {"b": 1}}, "mapping: a …"),
        ("x" * 100, f"'{'x' * 58}…"),
        ({"state": {}, "param_groups": []}, "optimizer: state of 0 parameters; 0 groups"),
    ],
)
def test_other_things(thing, text):
    assert node_words(thing) == text


def test_a_list_that_holds_itself():
    thing: list = []
    thing.append(thing)
    assert node_words(thing) == "list of 1"
