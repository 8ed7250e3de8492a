"""The rules of a step at work on keys: which one takes a key, what becomes of it, and what a plan warns of."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from surgery.lang import parse_rules
from surgery.lang.path import Path
from surgery.lang.pattern import Pattern
from surgery.lang.renaming import renamer
from surgery.lang.render import Filling, render
from surgery.planning.context import Context
from surgery.planning.keys import NewKeys
from surgery.planning.selecting import RuleSet
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Held
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject
from surgery.text import Text

ENTRY = Entry(Held(Spec((2, 3), DTYPES["float32"]), None))


def renamed(rules: str, keys: list[str]) -> tuple[dict[str, str], Context]:
    """What the rules make of keys, and what was reported."""
    parsed = parse_rules(Text.plain(rules, "recipe"), "key")
    context = Context()
    chosen = RuleSet.of_rules(parsed, Subject(dict.fromkeys(keys, ENTRY)), context)
    new_keys = [NewKeys(rule) for rule in parsed]
    found = {}
    for key in keys:
        first = chosen.first(key, ENTRY)
        if first is not None:
            found[key] = new_keys[first[0]].of(first[1], first[2])
    chosen.finish()
    return found, context


# --- warnings ------------------------------------------------------------------------------------------------------

OPEN = [
    ("**.norm -> **.ln", "enc.norm.layer.norm.weight"),
    ("{p:**}.norm -> {p}.ln", "norm.norm"),
    ("module.** -> x.**.y", "module.a.b"),
    ("{a}_{b}.w -> {b}_{a}.w", "x_y_z.w"),
    ("**.(a|a.b).** -> **.(x|y).**", "a.b.c"),
    ("**.{i:int}.** if i > 5 -> **.x{i}.**", "layers.7.mlp.9.w"),
    ("a.**.x.** -> b.**.y.**", "a.x.q.x.w"),
]
PLAIN = [
    ("module.** -> **", "module.a.b"),
    ("** -> model.**", "a.b.c"),
    ("**.norm -> **.ln", "enc.norm.layer.weight"),
    ("**.norm.** -> **.norm2.**", "enc.norm.a.b.c.weight"),
    ("{a}_{b}.w -> {a}_{b}.v", "x_y_z.w"),
    ("{p:**}.weight -> {p}.w", "a.b.weight"),
    ("layers.{i}.** -> blocks.{i}.**", "layers.3.a.w"),
    ("**.(q|k)_proj -> **.(query|key)", "a.b.q_proj.weight"),
    ("**.a.**.b -> **.a.**.c", "x.a.y.b.w"),
    ("** except fc -> x.**", "a.b"),
]


@pytest.mark.parametrize(("rule", "key"), OPEN)
def test_a_plan_warns_where_the_choice_among_ways_mattered(rule: str, key: str) -> None:
    _, context = renamed(rule, [key, *(f"{key}{i}" for i in range(3))])
    assert [(d.code, d.severity) for d in context.diagnostics] == [("ambiguous-match", "warning")]


@pytest.mark.parametrize(("rule", "key"), PLAIN)
def test_it_does_not_warn_where_every_way_gives_the_same(rule: str, key: str) -> None:
    _, context = renamed(rule, [key, "fc"])
    assert context.diagnostics == []


def test_a_condition_that_another_way_would_meet(golden: Callable[[str, str], None]) -> None:
    found, context = renamed("**.{i:int}.** if i > 5 -> **.x{i}.**", ["layers.3.mlp.7.w", "layers.8.mlp.7.w"])
    assert found == {"layers.8.mlp.7.w": "layers.x8.mlp.7.w"}
    golden("lang/ambiguous_condition", "\n\n".join(map(str, context.diagnostics)))


def test_what_the_warning_says(golden: Callable[[str, str], None]) -> None:
    _, context = renamed("optional x -> y\n**.norm -> **.ln", ["enc.norm.layer.norm.weight", "dec.norm.norm.weight"])
    golden("lang/ambiguous_match", "\n\n".join(map(str, context.diagnostics)))


def test_a_guard_that_makes_no_sense_points_at_its_own_rule() -> None:
    rules = "a.{i:int} if i > 3 -> b.{i}\na.* if shape[5] == 3 -> c.*"
    _, context = renamed(rules, ["a.1"])
    (wrong,) = context.diagnostics
    assert (wrong.code, str(wrong.span)) == ("guard", "recipe:2:8")
    assert wrong.message == "`shape[5]`: there are 2 elements (for the key `a.1`)"


def test_an_idle_rule_behind_an_exception_is_not_blamed_on_the_exception() -> None:
    _, context = renamed("a except a.b -> c", ["a.b", "d"])
    (wrong,) = context.diagnostics
    assert (wrong.code, wrong.severity) == ("unused-rule", "error")


# --- laws ----------------------------------------------------------------------------------------------------------

SEGMENTS = ["layers", "{a}", "{b:int}", "*", "mlp", "{c}", "head-1"]


def _bijective(draw: random.Random) -> tuple[str, str]:
    """A rule that loses nothing, and the rule that undoes it."""
    left = draw.sample(SEGMENTS, draw.randint(1, 5))
    right = [s.replace(":int", "") for s in left]
    wild = [s for s in right if s[0] in "{*"]
    draw.shuffle(wild)
    moved = [draw.choice(["new", "x.y", "0"]), *wild] if draw.random() < 0.5 else wild or ["top"]
    kinds = {s.replace(":int", ""): s for s in left}
    back_left = ".".join(kinds.get(s, s) for s in moved)
    return f"{'.'.join(left)}.** -> {'.'.join(moved)}.**", f"{back_left}.** -> {'.'.join(right)}.**"


def test_renames_that_lose_nothing_are_undone_by_their_mirror() -> None:
    draw = random.Random(17)
    undone = 0
    for _ in range(1_000):
        there, back = _bijective(draw)
        (rule,) = parse_rules(Text.plain(there), "key")
        choices = {"{a}": "ab", "{b:int}": ["0", "07", "12"], "*": "xy", "{c}": ["c", "1"]}
        left = there.split(" -> ")[0].split(".")[:-1]
        key = ".".join([draw.choice(choices[s]) if s in choices else s for s in left] + draw.choices("wv", k=2))
        found, _ = renamed(there, [key])
        again, _ = renamed(back, [found[key]])
        assert again[found[key]] == key, (there, back)
        undone += isinstance(rule.left, Path)
    assert undone == 1_000


def test_the_short_cut_gives_what_rendering_gives() -> None:
    draw = random.Random(23)
    compared = 0
    while compared < 3_000:
        left = [draw.choice(["a", "b", "*", "{p}", "{q:int}", "{r}"]) for _ in range(draw.randint(1, 4))]
        if len({s for s in left if s[0] == "{"}) < sum(s[0] == "{" for s in left):
            continue
        gives = [s.replace(":int", "") for s in left if s[0] in "{*"]
        right = draw.sample([*gives, "x", "y.z", "50%"], len(gives) + 3)
        right = [f'"{s}"' if s in ("y.z", "50%") else s for s in right]
        ends = draw.choice(["", ".**"])
        (rule,) = parse_rules(Text.plain(f"{'.'.join(left)}{ends} -> {'.'.join(right)}{ends}"), "key")
        template, pattern = rule.right.templates[0], Pattern(rule.left)
        short = renamer(rule.left, template)
        assert short is not None
        key = [draw.choice(["a", "b", "1", "c"]) for _ in range(draw.randint(1, 6))]
        match = pattern.match(key)
        if match is not None:
            assert short(key) == render(template, Filling.of(match, rule.left), match.rest)
            compared += 1


def test_rules_in_order_give_what_a_loop_gives() -> None:
    draw = random.Random(29)
    parts = ["a", "b", "*", "**", "{i}", "(a|b)", "a*", "{n:int}"]
    for _ in range(200):
        lefts = [".".join(draw.choices(parts, k=draw.randint(1, 3))) for _ in range(draw.randint(1, 12))]
        lefts = [left for left in lefts if left.count("{i}") < 2 and left.count("{n:int}") < 2]
        rules = [f"optional {left} -> r{number}" for number, left in enumerate(lefts)]
        keys = sorted({".".join(draw.choices(["a", "b", "c", "1", "ab"], k=draw.randint(1, 4))) for _ in range(15)})
        found, _ = renamed("\n".join(rules), keys) if rules else ({}, None)
        for key in keys:
            matches = [Pattern.of_text(left).match(key.split(".")) for left in lefts]
            number = next((i for i, match in enumerate(matches) if match), None)
            match = matches[number] if number is not None else None
            expected = ".".join([f"r{number}", *match.rest]) if match else None
            assert found.get(key) == expected


def test_an_exception_holds_whatever_the_condition_says() -> None:
    """What it leaves out never reaches the condition; it is not idle for that."""
    found, context = renamed("{i:int} except 0.x if i < 1 -> b.{i}", ["0.x", "0.y", "1.z"])
    assert found == {"0.y": "b.0.y"}
    assert context.diagnostics == []
