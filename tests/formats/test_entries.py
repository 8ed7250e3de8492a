"""The state dict inside a checkpoint: containers that people meet, choosing, and what is never chosen."""

from __future__ import annotations

import argparse
from collections import OrderedDict

import pytest
import torch

from surgery.diagnostics import SurgeryError
from surgery.formats import Checkpoint, read
from surgery.formats.entries import candidates, choose

MODEL = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
STATE = MODEL.state_dict()


def optimizer_state():
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


CONTAINERS = {
    "bare": (STATE, ()),
    "state_dict": ({"state_dict": STATE, "epoch": 3}, ("state_dict",)),
    "training": (
        {"epoch": 3, "loss": torch.tensor(0.5), "model_state_dict": STATE, "optimizer_state_dict": optimizer_state()},
        ("model_state_dict",),
    ),
    "mae": ({"model": STATE, "optimizer": optimizer_state(), "args": argparse.Namespace(lr=1)}, ("model",)),
    "lightning": (
        {
            "epoch": 1,
            "pytorch-lightning_version": "2.0",
            "state_dict": STATE,
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
            "optimizer_states": [optimizer_state()],
            "lr_schedulers": [{"last_epoch": 1}],
            "hyper_parameters": {"mean": torch.ones(3)},
        },
        ("state_dict",),
    ),
    "mmengine": (
        {"meta": {"mean": torch.ones(3)}, "state_dict": STATE, "message_hub": {"log": {"x": torch.ones(9)}}},
        ("state_dict",),
    ),
    "random state": ({"model": STATE, "rng_state": torch.get_rng_state(), "cuda_rng": [torch.ones(3)]}, ("model",)),
    "deep": ({"run": {"nets": {"module": STATE}}}, ("run", "nets", "module")),
    "an optimizer object": (
        {"model": STATE, "opt": torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)},
        ("model",),
    ),
    "a list of models": ({"models": [STATE]}, ("models", "0")),
    "in an object": (argparse.Namespace(net=STATE, lr=0.1), ("net",)),
    "a module in a dict": ({"model": MODEL, "ema": None}, ("model",)),
}


@pytest.fixture
def saved(tmp_path):
    def save(thing) -> Checkpoint:
        torch.save(thing, tmp_path / "a.pt")
        return read(tmp_path / "a.pt", name="a.pt")

    return save


@pytest.mark.parametrize("case", CONTAINERS)
def test_the_only_state_dict_is_found(case, saved):
    thing, entry = CONTAINERS[case]
    state = choose(saved(thing))
    assert state.entry == entry
    assert list(state.tensors) == list(STATE)


def test_several_are_listed(saved):
    checkpoint = saved({"state_dict": STATE, "state_dict_ema": OrderedDict(STATE), "epoch": 1})
    with pytest.raises(SurgeryError) as error:
        choose(checkpoint)
    assert str(error.value) == (
        "error[entry]: `a.pt` holds 2 state dicts\n"
        "     = state dicts in it: `state_dict` (7 tensors), `state_dict_ema` (7 tensors)\n"
        "     = name one of them: `{path: …, entry: state_dict}` in a recipe, `--entry state_dict` on the command line"
        "; the entry `.` is everything as one tree"
    )


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("ema", ("ema",)),
        ("nothing or ema or model", ("ema",)),
        ("model or ema", ("model",)),
        ("deep.a.b", ("deep", "a.b")),
    ],
)
def test_an_entry_by_name(entry, found, saved):
    checkpoint = saved({"model": STATE, "ema": STATE, "deep": {"a.b": STATE}})
    assert choose(checkpoint, entry).entry == found


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("modle", "did you mean `model`?"),
        ("epoch", "no state dict: no tensors are in it"),
        ("a or b", "there is no entry `a or b`"),
        ("model.0.weight", "no state dict: no tensors are in it"),
    ],
)
def test_an_entry_that_is_none(entry, words, saved):
    with pytest.raises(SurgeryError) as error:
        choose(saved({"model": {"0.weight": torch.ones(2), "x": torch.ones(2)}, "epoch": 1}), entry)
    assert words in str(error.value)
    assert error.value.diagnostics[0].code == "entry"


def test_nothing_in_it(saved):
    with pytest.raises(SurgeryError, match=r"there is no state dict in `a\.pt`") as error:
        choose(saved({"epoch": 1, "lr": 0.1}))
    assert "it holds `epoch`, `lr`" in str(error.value)


def test_one_under_two_names_is_one(saved):
    assert choose(saved({"model": STATE, "best": STATE})).entry == ("model",)


def test_single_numbers_count_only_where_there_is_nothing_else(saved):
    numbers = {"best": torch.tensor(1.0), "mean": torch.tensor(2.0)}
    assert choose(saved({"model": STATE, "numbers": numbers})).entry == ("model",)
    assert choose(saved({"numbers": numbers})).entry == ("numbers",)


def test_the_whole_as_one_tree(saved):
    state = choose(saved({"backbone": {"conv": {"w": torch.ones(2)}}, "head": {"w": torch.ones(2)}, "n": 1}), ".")
    assert list(state.tensors) == ["backbone.conv.w", "head.w"]
    assert state.extra == {"n": 1}


def test_optimizer_state_is_taken_only_by_name(saved):
    checkpoint = saved({"optimizer": optimizer_state()})
    assert candidates(checkpoint.tree) == []
    assert list(choose(checkpoint, "optimizer").tensors) == ["state.0.momentum_buffer", "state.1.momentum_buffer"]


def test_entries_that_are_no_tensors_and_metadata(saved):
    state = OrderedDict(STATE)
    state["0._extra_state"] = {"amax": 1.0}
    state._metadata = STATE._metadata
    found = choose(saved(state))
    assert found.extra == {"0._extra_state": {"amax": 1.0}}
    assert found.metadata["1"] == {"version": 2}


def test_separators(saved):
    checkpoint = saved({"encoder/layer_0/kernel": torch.ones(2), "step": torch.tensor(1), "n": 1})
    assert list(choose(checkpoint, separator="/").tensors) == ["encoder.layer_0.kernel", "step"]


@pytest.mark.parametrize("keys", [("a/b", "a.b"), ("a//b",), ("/a",)])
def test_separators_that_make_no_keys(keys, saved):
    with pytest.raises(SurgeryError, match="with the separator `/`"):
        choose(saved({key: torch.ones(2) for key in keys}), separator="/")


def test_two_ways_to_one_key(saved):
    with pytest.raises(SurgeryError, match=r"two entries of `a\.pt` have the key `a\.b`"):
        choose(saved({"a.b": torch.ones(2), "a": {"b": torch.ones(2)}}), ".")


@pytest.mark.parametrize(
    ("tree", "what"),
    [
        ({}, "nothing"),
        (None, "nothing"),
        ({b"x": torch.ones(2)}, "a mapping whose keys are no texts"),
        ("abc", "one value of the type str"),
    ],
)
def test_what_is_there_where_nothing_can_be_named(tmp_path, tree, what):
    torch.save(tree, tmp_path / "x.pth")
    checkpoint = read(tmp_path / "x.pth")
    with pytest.raises(SurgeryError, match=f"it holds {what}"):
        choose(checkpoint, None)


def test_a_key_that_stands_beside_its_container_is_an_error_where_nobody_chose(saved):
    checkpoint = saved({"a": {"b": torch.ones(2), "c": torch.ones(2)}, "a.b": torch.zeros(2)})
    with pytest.raises(SurgeryError) as caught:
        choose(checkpoint)
    assert "have the key `a.b`" in caught.value.diagnostics[0].message
    assert list(choose(checkpoint, "a").tensors) == ["b", "c"]
