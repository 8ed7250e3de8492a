"""The step `load`: its own steps, its own exceptions, and where its errors stand."""

from __future__ import annotations

import dataclasses

import pytest

from surgery.sources import SOURCES
from surgery.steps.load import Load
from surgery.tensors.subject import Origin

NET = {"conv.weight": (8, 3), "fc.weight": (10, 8), "fc.bias": (10,)}


@pytest.fixture
def load(stored, fresh, context, operate, monkeypatch):
    """Load tensors of a hand-made source into a subject, by a step written as YAML."""

    def run(yaml: str, there: dict, here: dict = NET, **options):
        opened = stored(there)
        monkeypatch.setattr(SOURCES["given"], "open", lambda source, context: opened)
        return operate(yaml, fresh(here, **options))

    return run


def test_its_steps_work_on_what_is_loaded(load, context):
    there = {f"module.{key}": shape for key, shape in NET.items()}
    after = load("- load: {from: {given: x}, steps: [{rename: 'module.** -> **'}]}", there)
    assert not context.diagnostics
    assert list(after.entries) == list(NET)
    entry = after.entries["fc.bias"]
    assert entry.origins == (Origin("file", "module.fc.bias"),)
    assert [touch.step for touch in entry.trail] == ["rename", "load"]


def test_its_exceptions_see_the_keys_after_its_steps(load, context):
    yaml = """
- load:
    from: {given: x}
    steps:
      - filter: {keep: module.encoder_q, drop: module.encoder_q.fc}
      - rename: "module.encoder_q.** -> **"
    missing: fc
"""
    there = {f"module.encoder_q.{key}": shape for key, shape in NET.items()} | {"module.queue": (4,)}
    after = load(yaml, there)
    assert not context.diagnostics
    assert after.entries["conv.weight"].origins == (Origin("file", "module.encoder_q.conv.weight"),)
    assert after.entries["fc.bias"].origins == ()


def test_its_errors_stand_at_its_name(load, errors, golden):
    load("- load:\n    from: {given: x}", {f"module.{key}": shape for key, shape in NET.items()})
    golden("steps/load_fails", errors())


def test_idle_rules_of_its_steps_are_errors(load, errors, golden):
    load("- load: {from: {given: x}, steps: [{rename: 'modul.** -> **'}]}", {"module.conv.weight": (8, 3)})
    golden("steps/load_idle_rule", errors())


def test_a_misspelled_word(load, errors, golden):
    load("- load: {from: {given: x}, missin: fc}", NET)
    golden("steps/load_misspelled", errors())


def test_from_must_be_given(load, errors, golden):
    load("- load: {missing: fc}", NET)
    golden("steps/load_without_from", errors())


def test_a_submodule(load, context):
    after = load("- load: {from: {given: x}, into: net.body}", NET, {f"net.body.{k}": s for k, s in NET.items()})
    assert not context.diagnostics
    assert all(entry.origins for entry in after.entries.values())


def test_it_is_a_frozen_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Load(None).into = "x"  # type: ignore[misc, arg-type]
