"""Plain values as YAML text, and back."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgery.diagnostics import SurgeryError
from surgery.document.emit import emit
from surgery.document.nodes import plain
from surgery.document.parse import parse_document

TEXTS = st.text(max_size=12) | st.text(alphabet="ab \n\t'\"\\#:-,[]{}|>&*!%@$~→1.e", max_size=12)
TEXTS = TEXTS.filter(lambda text: "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


@settings(max_examples=1500, deadline=None)
@given(value=VALUES)
def test_what_is_written_reads_back(value):
    again = plain(parse_document(emit(value), "recipe.yaml"))
    assert again == value
    assert repr(again) == repr(value)


def test_the_form_of_a_recipe(golden):
    recipe = {
        "surgery": 1,
        "name": "moco",
        "description": "on: the way",
        "params": {"weights": {"type": "path", "help": "a checkpoint"}, "classes": 10, "sizes": [1, 2.5]},
        "source": {"torchvision": "resnet50", "weights": None},
        "steps": [
            {"rename": "module.** -> **\nhead -> fc\n", "rest": "drop"},
            {"rename": ["a -> b", {"rule": "**.c -> d", "count": 2}]},
            {"load": {"from": {"checkpoint": Path("a/b.pth")}, "steps": [{"unwrap": True}], "missing": "fc"}},
            {"freeze": "** except fc | conv1"},
            {"note": 'a "quoted" note'},
            {},
            [],
        ],
        "output": PurePosixPath("out.safetensors"),
    }
    golden("document/emit", emit(recipe))


def test_other_libraries():
    import numpy
    import torch

    value = {
        "a": torch.bfloat16,
        "b": torch.device("cuda:1"),
        "c": numpy.float32(0.5),
        "d": numpy.int64(3),
        "e": (1, 2),
    }
    assert plain(parse_document(emit(value), "x")) == {"a": "bfloat16", "b": "cuda:1", "c": 0.5, "d": 3, "e": [1, 2]}
    assert math.isnan(plain(parse_document(emit([math.nan]), "x"))[0])


def test_a_whole_number_as_a_key_stands_for_its_digits():
    assert plain(parse_document(emit({"max_memory": {0: "1GB", "cpu": "2GB"}}), "x")) == {
        "max_memory": {"0": "1GB", "cpu": "2GB"}
    }


@pytest.mark.parametrize("value", [object(), {1.5: "a"}, {True: "a"}, [{("a",): 1}], {"a": {3}}, b"bytes"])
def test_what_has_no_form(value):
    with pytest.raises(SurgeryError) as caught:
        emit({"key": value})
    assert caught.value.diagnostics[0].code == "wrong-type"


def test_what_contains_itself():
    loop: list = []
    loop.append(loop)
    with pytest.raises(SurgeryError) as caught:
        emit(loop)
    assert caught.value.diagnostics[0].code == "too-large"
