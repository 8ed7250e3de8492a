"""The step `rename`: what becomes of each key, and what is an error."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import surgery


@pytest.fixture
def rename(stored, operate, context):
    """Old keys to new ones, by rules; keys that go are left out."""

    def run(rules: str, *keys: str, options: str = "", **parameters: object) -> dict[str, str]:
        step = json.dumps(rules) if not options else f"{{rules: {json.dumps(rules)}, {options}}}"
        after = operate(f"- rename: {step}", stored(dict.fromkeys(keys, (1,))), **parameters)
        assert not context.diagnostics, context.diagnostics[0]
        return {entry.origins[0].key: key for key, entry in after.entries.items()}

    return run


@pytest.mark.parametrize(
    ("rules", "renamed"),
    [
        ("a -> b, b -> a", {"a": "b", "b": "a"}),
        ("a -> b, b -> c, c -> a", {"a.w": "b.w", "b.w": "c.w", "c.w": "a.w"}),
        ("module.** -> **", {"module.a": "a", "module.b.c": "b.c", "other": "other"}),
        ("** -> model.**", {"a": "model.a", "b.c": "model.b.c"}),
        ("fc -> head", {"fc.weight": "head.weight", "fc": "head", "fc2.weight": "fc2.weight", "x.fc": "x.fc"}),
        ("layers.1 -> l.1", {"layers.1.w": "l.1.w", "layers.10.w": "layers.10.w"}),
        ("layers.{i:int}.x -> layers.{i + 1}.x", {"layers.9.x": "layers.10.x", "layers.0.x": "layers.1.x"}),
        ("a{n:int} -> b{n // 2}.{n % 2}", {"a5.w": "b2.1.w", "a07": "b3.1"}),
        ("a{n} -> b{n}", {"a07": "b07"}),
        ("{p:**}.x -> {p}.y", {"x": "y", "a.x": "a.y", "a.b.x": "a.b.y"}),
        ("(q|k|v)_proj -> (query|key|value)", {"q_proj.w": "query.w", "v_proj.w": "value.w"}),
        ("b.(1.0|1.1).(x|y) -> c.(0|1).(s|t.u)", {"b.1.0.x": "c.0.s", "b.1.1.y.w": "c.1.t.u.w"}),
        ("{p:q|k|v}_proj.{i} -> {i}.{p:query|key|value}", {"k_proj.3": "3.key"}),
        ("*.a.* -> *.b.*", {"x.a.y": "x.b.y"}),
        ("{a}.{b} -> {b}.{a}", {"x.y": "y.x", "s.t.w": "t.s.w"}),
        ("{s}_{s} -> {s}", {"a_a": "a", "a_b": "a_b"}),
        ('"a.b".c -> d', {"a.b.c": "d"}),
        ("a.{i:int} if 2 <= i < 4 -> b.{i}", {"a.1": "a.1", "a.2": "b.2", "a.4": "a.4"}),
        ("** except a.x | b -> c.**", {"a.x.w": "a.x.w", "a.y": "c.a.y", "b": "b"}),
        ("optional none -> x, a -> b", {"a": "b"}),
        ("a -> x, ** -> y.**", {"a": "x", "b": "y.b"}),
        ("a ->\n  b  # goes on\n# a comment\nc -> d", {"a": "b", "c": "d"}),
    ],
)
def test_new_keys(rules, renamed, rename):
    assert rename(rules, *renamed) == renamed


def test_depth_upscaling(rename):
    keys = [f"m.{i}.w" for i in range(32)] + [f"tail.{i}.w" for i in range(24, 40)]
    rules = "tail.{i:int} -> m.{i}, m.{i:int} if i >= 24 -> m.{i + 16}"
    renamed = rename(rules, *keys)
    assert sorted(renamed.values()) == sorted(f"m.{i}.w" for i in range(48))
    assert renamed["m.24.w"] == "m.40.w"
    assert renamed["tail.24.w"] == "m.24.w"


def test_the_order_and_the_tensors_stay(stored, operate):
    subject = stored({"b": (1,), "a": (2,), "c": (3,)})
    after = operate("- rename: a -> z", subject)
    assert list(after.entries) == ["b", "z", "c"]
    assert after.entries["z"].expr is subject.entries["a"].expr
    assert after.entries["b"] is subject.entries["b"]
    (touch,) = after.entries["z"].trail
    assert (touch.step, touch.action, str(touch.span), touch.computes) == (
        "rename",
        "a -> z",
        "recipe.yaml:1:11",
        False,
    )


def test_the_rest(rename, stored, operate, context):
    assert rename("a -> b", "a", "c", options="rest: drop") == {"a": "b"}
    assert [drop.origins[0].key for drop in context.drops] == ["c"]
    assert str(context.drops[0].touch.span) == "recipe.yaml:1:3"


def test_a_parameter_is_literal_text(rename):
    assert rename("$name -> x.$name", "a.b.w", "c", name="a.b") == {"a.b.w": "x.a.b.w", "c": "c"}
    assert rename("$name -> x", "*", "c", name="*") == {"*": "x", "c": "c"}


def test_counts(stored, operate, context, errors, golden):
    subject = stored(dict.fromkeys(["a.x", "a.y", "b"], (1,)))
    operate("- rename: [{rule: a -> c, count: 2}, {rule: b -> d, count: 1}]", subject)
    assert not context.diagnostics
    operate("- rename: [{rule: a -> c, count: 3}]", subject)
    golden("steps/rename_count", errors())


def test_a_name_of_a_tied_tensor_moves_alone(stored, operate, context):
    after = operate("- rename: lm_head -> head", stored({"embed.w": (2,)}, ties={"lm_head.w": "embed.w"}))
    assert after.ties() == [("embed.w", "head.w")]
    assert context.remarks == ["`head.w` stays tied to `embed.w`"]


ERRORS = {
    "idle": ("modul.** -> **", ["module.a", "module.b"]),
    "idle_elsewhere": ("fc -> head", ["model.fc.weight"]),
    "idle_below": ("model.fcc -> head", ["model.fc.weight", "model.conv.weight"]),
    "idle_guard": ("layers.{i:int} if i > 3 -> b.{i}", ["layers.0", "layers.1"]),
    "idle_branch": ("a | b -> c", ["a.x", "d"]),
    "idle_exception": ("a except a.z -> c", ["a.x", "d"]),
    "taken_by_earlier": ("** -> x.**, layers.{i} -> b.{i}", ["layers.0", "layers.1"]),
    "collision": ("(a|b).w -> c.w", ["a.w", "b.w"]),
    "collision_of_rules": ("a -> c\nb -> c", ["a.w", "b.w"]),
    "collision_with_the_rest": ("a -> b", ["a.w", "b.w"]),
    "many_collisions": ("{i}.w -> w", [f"{i}.w" for i in range(20)]),
    "empty_key": ("module.** -> **", ["module", "module.a"]),
    "negative": ("layers.{i:int} -> layers.{i - 1}", [f"layers.0.{c}" for c in "abc"]),
    "guard_of_text": ("layers.{i} if i > 3 -> b.{i}", ["layers.0"]),
    "type": ("**[Conv2d] -> x.**", ["a"]),
    "via": ("a -> (b|c) via chunk", ["a"]),
    "via_one": ("a -> b via transpose(0, 1)", ["a"]),
    "join": ("[a, b] -> c", ["a", "b"]),
    "list": ("a -> [b, c]", ["a", "b"]),
    "right_only": ("a -> b.{i}", ["a"]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, stored, operate, errors, golden):
    rules, keys = ERRORS[name]
    operate("- rename: |\n" + "".join(f"    {line}\n" for line in rules.split("\n")), stored(dict.fromkeys(keys, (1,))))
    golden(f"steps/rename_{name}", errors())


def test_rest_error(stored, operate, errors, golden):
    operate("- rename: {rules: a -> b, rest: error}", stored(dict.fromkeys("acdefghi", (1,))))
    golden("steps/rename_rest_error", errors())


def test_an_error_of_many_keys_is_told_once(stored, operate, context):
    operate("- rename: 'layers.{i:int}.{k} -> layers.{i - 1}.{k}'", stored({f"layers.0.{k}": (1,) for k in range(90)}))
    assert len(context.diagnostics) == 1
    assert context.diagnostics[0].notes[-1] == "and 89 more like it"


segments = st.sampled_from(["a", "b", "layers", "0", "1", "10", "x_y"])
keys = st.lists(st.lists(segments, min_size=1, max_size=4).map(".".join), min_size=1, max_size=12, unique=True)


@settings(deadline=None)
@given(keys, st.sampled_from(["p.** -> **", "{i}.** -> q.{i}.**"]))
def test_a_prefix_comes_off_again(names, rule):
    state = {f"p.{name}": torch.tensor(float(i)) for i, name in enumerate(names)}
    forward, backward = (rule, "** -> p.**") if rule.startswith("p.") else (rule, "q.{i}.** -> {i}.**")
    back = surgery.rename(surgery.rename(state, forward), backward)
    assert list(back) == list(state)
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_from_python_nothing_given_is_changed():
    state = {"module.w": torch.zeros(2)}
    after = surgery.rename(state, "module.** -> **")
    after["w"] += 1
    assert list(state) == ["module.w"]
    assert state["module.w"].sum() == 0


def test_a_key_that_an_earlier_step_took_is_remembered():
    steps = [{"rename": "a -> b"}, {"rename": "a.w -> c"}]
    with pytest.raises(surgery.SurgeryError) as raised:
        surgery.load({"steps": steps}).run(state_dict={"a.w": torch.zeros(2)})
    assert raised.value.diagnostics[0].notes[-1].endswith("has `a.w`, but at this step it is not there")


def test_idle_words_behind_stars_and_captures(stored, operate, errors, golden):
    subject = stored({f"layers.{i}.attn.{p}.weight": (1,) for i in range(3) for p in "qk"})
    operate("- rename: |\n    layers.{i}.atn -> a.{i}\n    **.k.wight -> b", subject)
    golden("steps/rename_idle_behind_stars", errors())
