"""`expect`: keys, parameters, likeness from headers; values in the run."""

from __future__ import annotations

import dataclasses

import pytest

from surgery.content import Content
from surgery.document.parse import parse_document
from surgery.expect import count_parameters
from surgery.fields import Reader
from surgery.sources import SOURCES
from surgery.tensors.expr import Computed
from surgery.tensors.subject import Subject

NET = {
    "conv.weight": (8, 3),
    "bn.weight": (8,),
    "bn.running_mean": (8,),
    "bn.num_batches_tracked": ((), "int64"),
    "fc.weight": (10, 8),
}


@pytest.fixture
def expect(context, stored, monkeypatch):
    """What `expect` says of a subject; `like` is a hand-made source of other tensors."""

    def run(yaml: str, subject: Subject, like: dict | None = None, **options) -> Subject:
        reader = Reader({}, context.diagnostics)
        expected = reader.fields(Content, parse_document(yaml, "recipe.yaml")).expect
        if like is not None:
            before = dict(context.inventory)
            opened = stored(like, source="reference", **options)
            tensors = {origin: spec for origin, spec in context.inventory.items() if origin not in before}
            context.inventory = before

            def open_reference(source, other) -> Subject:
                other.inventory.update(tensors)
                return opened

            monkeypatch.setattr(SOURCES["given"], "open", open_reference)
        return expected.check_plan(subject, context)

    return run


def test_everything_is_so(stored, expect, context):
    subject = stored(NET)
    assert expect("expect: {keys: 5, parameters: 112, like: {given: x}}", subject, NET) is subject
    assert not context.diagnostics


@pytest.mark.parametrize(
    ("name", "text"),
    {"keys": "{keys: 6}", "parameters": "{parameters: 120}", "both": "{keys: 1, parameters: 2}"}.items(),
)
def test_numbers(name, text, stored, expect, context, errors, golden):
    expect(f"expect: {text}", stored(NET))
    golden(f"expect/{name}", errors())
    assert {d.exit_code for d in context.diagnostics} == {1}


class TestParameters:
    def test_buffers_are_none(self, stored):
        subject = stored(NET)
        assert count_parameters(subject) == 24 + 8 + 80
        kinds = {
            key: dataclasses.replace(e, kind="buffer" if key == "bn.weight" else "parameter")
            for key, e in subject.entries.items()
        }
        assert count_parameters(Subject(kinds)) == 24 + 8 + 1 + 80, "where kinds are known, names say nothing"

    def test_tied_ones_count_once(self, stored):
        assert count_parameters(stored({"embed.weight": (9, 4)}, ties={"head.weight": "embed.weight"})) == 36


class TestLike:
    def test_differences_are_a_table(self, stored, expect, errors, golden):
        there = {("head.fc.weight" if key == "fc.weight" else key): shape for key, shape in NET.items()}
        expect("expect: {like: {given: reference}}", stored(NET), {**there, "bn.weight": ((8,), "float16")})
        golden("expect/like", errors())

    def test_another_dtype_throughout(self, stored, expect, context, errors):
        half = {key: (shape, "float16") for key, shape in NET.items() if key != "bn.num_batches_tracked"}
        expect("expect: {like: {given: reference}}", stored({**NET, **half}), NET)
        assert '`cast: "** if dtype == float16 -> float32"`' in errors()
        assert "int64" not in errors()

    def test_one_name_of_a_tied_tensor_is_enough(self, stored, expect, context):
        subject = stored({"embed.weight": (9, 4)})
        expect("expect: {like: {given: x}}", subject, {"embed.weight": (9, 4)}, ties={"head.weight": "embed.weight"})
        assert not context.diagnostics

    def test_another_dtype_is_a_difference(self, stored, expect, context):
        expect("expect: {like: {given: x}}", stored({"a": ((2,), "bfloat16")}), {"a": (2,)})
        assert [d.code for d in context.diagnostics] == ["check-failed"]

    def test_the_reference_is_not_in_the_accounts(self, stored, context, expect):
        expect("expect: {like: {given: x}}", stored(NET), NET)
        assert {origin.source for origin in context.inventory} == {"file"}

    def test_a_reference_that_cannot_be_opened(self, stored, expect, context, errors, golden):
        expect("expect: {like: {given: reference}}", stored(NET))
        golden("expect/like_not_there", errors())


def test_values_are_checked_when_they_are_read(stored, expect):
    after = expect("expect: {finite: true}", stored(NET))
    assert [key for key, e in after.entries.items() if isinstance(e.expr, Computed)] == [
        "conv.weight",
        "bn.weight",
        "bn.running_mean",
        "fc.weight",
    ]
