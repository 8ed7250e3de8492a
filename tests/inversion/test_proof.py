"""Inverses without a checkpoint: given where the rules are proof, else one is asked for."""

from __future__ import annotations

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError
from surgery.recipe import Recipe

PROVED = {
    "a table": (
        {"rest": "error", "rules": "a -> b\nc.{i}.(q|k) -> d.{i}.(x|y)"},
        ["b -> a", "d.{i}.(x|y) -> c.{i}.(q|k)"],
    ),
    "adding a prefix": ("** -> model.**", ["model.** -> **"]),
    "two in one": (
        {"rest": "error", "rules": "s.{i:int}.{j:int} if j < 2 -> f.{2 * i + j}"},
        ["f.{i:int} -> s.{i // 2}.{i % 2}"],
    ),
    "swap": ("a -> b, b -> a", ["b -> a", "a -> b"]),
    "in place": ({"rest": "error", "rules": "a -> a, b.c -> x"}, ["a -> a", "x -> b.c"]),
    "special before general": (
        {"rest": "error", "rules": "res{s:int}.norm -> bn{s + 1}\nres{s:int} -> conv{s + 1}"},
        ["bn{s:int} -> res{s - 1}.norm", "conv{s:int} -> res{s - 1}"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROVED)
def test_rules_that_are_proof(name, lines) -> None:
    rules, wanted = PROVED[name]
    inverse = surgery.load([{"rename": rules}]).invert()
    found = [" ".join(line.split()) for line in lines(inverse)]
    assert all(any(rule in line for line in found) for rule in wanted), found
    assert [w for w in inverse.warnings if "leading zeros" not in w.message] == []


ASKED = {
    "it would take everything": ("s0.** -> **", "`**` would take keys as well"),
    "two rules, one image": ("a.{i} -> x.{i}\nb.{i} -> x.{i}", "may select the same keys"),
    "an index that is counted up into another": (
        "a.{i:int} -> x.{i}\nb.{i:int} -> x.{i + 2}",
        "may select the same keys",
    ),
    "two ways to match": ("{a}-{b} -> {a}_{b}", "more than one way"),
    "a `**` in the midst": ("**.gamma -> **.weight", "more than one way"),
    "alternatives that begin alike": ("x.(0|1) -> y.(a|a.b)", "more than one way"),
    "a star that goes": ("*.w -> w", "does not stand on the right side"),
    "two in one": ("s.{i:int}.{j:int} -> f.{3 * i + j}", "unless a condition bounds `j`"),
    "a union": ("a | b -> c", "branches of a union"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_no_proof_asks_for_a_checkpoint(name, refused) -> None:
    rules, wanted = ASKED[name]
    messages = refused([{"rename": rules}])
    assert any(wanted in message for message in messages), messages


@pytest.mark.parametrize("step", [{"cast": "** -> float32"}, {"unwrap": True}, {"copy": "a -> b"}])
def test_other_steps_ask_for_one(step, refused) -> None:
    (message,) = refused([step])
    assert message == f"what `{next(iter(step))}` does, only the keys of a checkpoint can tell"


def test_what_a_filter_drops_may_be_forgotten(refused, lines) -> None:
    steps = [{"filter": {"drop": "optional b"}}, {"extract": "m"}, {"rename": {"rest": "error", "rules": "a -> b"}}]
    assert refused(steps) == [
        "what `filter` leaves behind, only a checkpoint can tell",
        "what `extract` leaves behind, only a checkpoint can tell",
    ]
    inverse = surgery.load(steps).invert(partial=True)
    assert lines(inverse) == ['- rename: {rest: error, rules: "b -> a"}', '- rename: "** -> m.**"']


def test_steps_that_keep_every_tensor_do_not() -> None:
    assert "steps" not in surgery.load([{"freeze": "a"}, {"check": {"count": {"a": 1}}}]).invert().text


OPERATIONS = {
    "from the end": ("l.{i:int} -> b.{$n - 1 - i} via flip", "b.{i:int} -> l.{$n - 1 - i} via flip"),
    "bounds": (
        "l.{i:int} if i >= 3 + $n -> b.{i - $n} via flip",
        "b.{i:int} if i >= 3 -> l.{i + $n} via flip",
    ),
    "chunk": ("a -> (q|k) via chunk(dim=1)", "(q|k) -> a via concat(dim=1)"),
    "split": ("a -> (q|k) via split([$n, 2])", "(q|k) -> a via concat"),
    "stack": ("e.{i:int}.w -> w via stack", "w -> e.{i}.w via unstack"),
    "unstack": ("w -> e.{i}.w via unstack", "e.{i:int}.w -> w via stack"),
    "transposes": ("a -> b via transpose($n, 1) | permute(1, 0)", "b -> a via permute(1, 0) | transpose($n, 1)"),
    "squeeze": ("a -> b via squeeze(0) | unsqueeze(-1)", "b -> a via squeeze(-1) | unsqueeze(0)"),
    "pattern": (
        'a -> b via rearrange("(h d two) e -> (h two d) e", h=$n, two=2)',
        'b -> a via rearrange("(h two d) e -> (h d two) e", h=$n, two=2)',
    ),
}


def with_n(rule: str) -> Recipe:
    text = (
        f"params: {{n: {{type: integer}}}}\nsteps:\n  - convert:\n      rest: error\n      rules: |\n        {rule}\n"
    )
    return Recipe.of_text(text)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_that_are_undone_whatever_the_shapes(name, lines) -> None:
    rule, wanted = OPERATIONS[name]
    inverse = with_n(rule).invert()
    assert any(wanted in line for line in lines(inverse)), inverse.text


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("(q|k) -> a via concat", "what undoes `concat` depends on shapes and dtypes"),
        ("a -> b via reshape(2, $n)", "what undoes `reshape(2, $n)` depends on shapes and dtypes"),
        ("a -> b via permute($n, 1)", "what undoes `permute($n, 1)` depends on shapes and dtypes"),
        ("a -> b via slice(0, $n)", "nothing undoes `slice(0, $n)` bit for bit"),
        ("(q|k).{e:int} -> a via stack", "the order in which this rule counts is another one backwards"),
        ("[a.{i}, b.{i}] -> c.{i} via concat", "which keys a join brings together, only a checkpoint can tell"),
    ],
)
def test_operations_that_are_not(rule, message) -> None:
    with pytest.raises(SurgeryError) as found:
        with_n(rule).invert()
    assert [d.message for d in found.value.diagnostics if d.severity == "error"] == [message]


def test_what_is_taken_for_granted_is_said() -> None:
    inverse = surgery.load([{"convert": "layers.{i:int}.w -> w via stack"}]).invert()
    said = [w.message for w in inverse.warnings]
    assert said == [
        "taken for granted: `{i:int}` counts from 0",
        "taken for granted: no other keys than those of this step lie under `w`",
    ]
    assert "# taken for granted: `{i:int}` counts from 0" in inverse.text.splitlines()
    assert all(w.severity == "warning" and w.span is not None for w in inverse.warnings)


def test_later_steps_do_not_take_what_earlier_ones_made(refused) -> None:
    steps = [{"rename": {"rest": "keep", "rules": "a -> x.b"}}, {"rename": "b -> x"}]
    (message,) = refused(steps)
    assert "may take keys as well that an earlier step makes" in message


def test_the_own_source_is_looked_at_if_it_is_there(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = surgery.recipe.Recipe.of_text('source: {checkpoint: a.pth}\nsteps: [{rename: "s0.** -> **"}]', "r.yaml")
    with pytest.raises(SurgeryError, match="would take keys as well"):
        recipe.invert()
    torch.save({"s0.x": torch.ones(2)}, "a.pth")
    assert '"** -> s0.**"' in recipe.invert().text
