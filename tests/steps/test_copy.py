"""The step `copy`: copies beside the originals, tensors of their own."""

from __future__ import annotations

import pytest
import torch

import surgery

DEPTH = """
- copy: "model.layers.{i:int} if 8 <= i < 24 -> tail.layers.{i + 16}"
- rename:
    - "tail.layers.{i:int} -> model.layers.{i}"
    - "model.layers.{i:int} if i >= 24 -> model.layers.{i + 16}"
"""


def test_every_rule_applies_to_every_key(stored, operate, context):
    subject = stored({"a.w": (1,), "b.w": (2,)})
    after = operate("- copy: a -> c, a.w -> d, ** -> e.**", subject)
    assert not context.diagnostics
    assert list(after.entries) == ["a.w", "b.w", "c.w", "d", "e.a.w", "e.b.w"]
    assert after.entries["a.w"] is subject.entries["a.w"]
    assert not after.ties(), "a copy is a tensor of its own"
    assert after.entries["d"].expr.ranges == subject.entries["a.w"].expr.ranges


def test_what_is_tied_and_copied_together_is_tied_in_the_copy(stored, operate):
    after = operate("- copy: m -> n", stored({"m.embed": (2,)}, ties={"m.head": "m.embed"}))
    assert after.ties() == [("m.embed", "m.head"), ("n.embed", "n.head")]


def test_depth_upscaling(stored, operate, context):
    """`examples/depth_upscale.yaml`: layers 8 to 31 behind layers 0 to 23."""
    tensors = {f"model.layers.{i}.w": (i + 1,) for i in range(32)} | {"model.norm": (5,)}
    after = operate(DEPTH, stored(tensors))
    assert not context.diagnostics
    sizes = {key: entry.spec.shape[0] - 1 for key, entry in after.entries.items() if key != "model.norm"}
    assert sizes == {f"model.layers.{i}.w": i if i < 24 else i - 16 for i in range(48)}


def test_with_operations(stored, operate, context):
    after = operate("- copy: qkv -> (q|k|v) via chunk", stored({"qkv.w": (6, 2), "o": (1,)}))
    assert not context.diagnostics
    assert {key: entry.spec.shape for key, entry in after.entries.items()} == {
        "qkv.w": (6, 2), "o": (1,), "q.w": (2, 2), "k.w": (2, 2), "v.w": (2, 2)
    }  # fmt: skip


def test_a_list_of_one_is_not_tied_to_the_original(stored, operate, context):
    after = operate("- copy: 'a -> [b]'", stored({"a": (2,)}))
    assert not context.diagnostics
    assert list(after.entries) == ["a", "b"]
    assert not after.ties()


def test_a_join(stored, operate, context):
    state = {"base.q.weight": (4, 3), "ad.q.A": (2, 3), "ad.q.B": (4, 2), "base.k.weight": (4, 3)}
    after = operate("- copy: '[base.{m}.weight, ad.{m}.A, ad.{m}.B] -> {m} via lora(alpha=4)'", stored(state))
    assert not context.diagnostics
    assert list(after.entries) == [*state, "q"]


ERRORS = {
    "onto_itself": ("a -> b", {"a": (1,), "b": (1,)}),
    "idle": ("c -> d", {"a": (1,)}),
    "list": ("a -> [b, c]", {"a": (1,)}),
    "unknown_operation": ("a -> b via transpse(0, 1)", {"a": (1, 1)}),
    "negative": ("a{i:int} -> b{i - 2}", {"a0": (1,), "a1": (1,)}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, stored, operate, errors, golden):
    rules, state = ERRORS[name]
    operate(f"- copy: '{rules}'", stored(state))
    golden(f"steps/copy_{name}", errors())


def test_values():
    state = {"a": torch.randn(2, 3)}
    after = surgery.copy(state, "a -> b")
    assert torch.equal(after["b"], state["a"])
    after["b"].zero_()
    assert torch.equal(after["a"], state["a"])
    assert after["b"].data_ptr() != after["a"].data_ptr()
