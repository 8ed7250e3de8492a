"""Section 3 of the language: the key on the right side."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from surgery.lang import parse_rules
from surgery.lang.expression import EvaluationError
from surgery.lang.renaming import renamer
from surgery.text import Text

Rename = Callable[..., dict[str, str]]

# (concept, rule, key, new key)
TABLE = [
    ("strip a prefix", "module.** -> **", "module.encoder.0.weight", "encoder.0.weight"),
    ("add a prefix", "** -> model.**", "encoder.0.weight", "model.encoder.0.weight"),
    ("a subtree is carried over", "fc -> head", "fc.weight", "head.weight"),
    ("a whole key", "fc.weight -> head.w", "fc.weight", "head.w"),
    ("the n-th star is the n-th star", "a.*.b.*.c -> *.x.*", "a.1.b.2.c.w", "1.x.2.w"),
    ("stars in parts", "conv*.*_bn -> c*.*", "conv12.x_bn.w", "c12.x.w"),
    ("stars and double stars in order", "*.**.x.* -> *.**.y.*", "a.b.c.x.d.w", "a.b.c.y.d.w"),
    ("an empty double star takes its dot along", "a.**.w -> b.**.v", "a.w", "b.v"),
    ("captures by name, in any order", "{a}.{b}.w -> {b}.{a}.w", "x.y.w", "y.x.w"),
    ("a capture twice", "{a}.w -> {a}.{a}", "x.w", "x.x"),
    ("a capture left out", "x.{a}.w -> x.w", "x.3.w", "x.w"),
    ("captured segments", "{p:**}.x -> {p}.y", "a.b.x.w", "a.b.y.w"),
    ("captured segments that are none", "{p:**}.x -> {p}.y", "x.w", "y.w"),
    ("digits as they stood", "l.{i:int} -> {i}", "l.007.w", "007.w"),
    ("arithmetic", "l.{i:int} -> l.{i + 1}", "l.9.w", "l.10.w"),
    ("arithmetic of zeros", "l.{i:int} -> l.{i + 0}", "l.007.w", "l.7.w"),
    ("product", "l.{i:int} -> l.{2 * i}", "l.9.w", "l.18.w"),
    ("whole division and rest", "l.{i:int} -> s.{i // 4}.{i % 4}", "l.9.w", "s.2.1.w"),
    ("brackets and two captures", "s.{i:int}.{j:int} -> l.{(i + 1) * 4 - j}", "s.2.1.w", "l.11.w"),
    ("a name of digits in a part", "conv{i:int}_bn -> bn{i - 1}", "conv1_bn.w", "bn0.w"),
    ("groups pair by position", "(q|k|v)_proj -> (query|key|value)", "v_proj.w", "value.w"),
    ("two groups pair in order", "(a|b).(w|v) -> (1|2)(w|v)", "b.w", "2w"),
    ("groups with dots", "features.(0.0|0.1) -> (stem.conv|stem.bn)", "features.0.1.w", "stem.bn.w"),
    ("a named alternative maps by position", "{p:q|k|v}_proj -> {p:query|key|value}", "k_proj.w", "key.w"),
    ("a named alternative put back", "{p:q|k|v}_proj -> self.{p}", "k_proj.w", "self.k.w"),
    ("a named alternative mapped to dots", "{p:q|k} -> {p:a.b|c}", "q.w", "a.b.w"),
    ("quoted text", "a -> \"odd name\".'x'", "a.w", "odd name.x.w"),
    ("a quoted dot", 'a -> "b.c"', "a.w", "b.c.w"),
    ("words of the language as keys", 'a -> "via"', "a.w", "via.w"),
    ("branches of a union", "a.{i} | b.{i} -> c.{i}", "b.3.w", "c.3.w"),
    ("except", "** except fc -> x.**", "conv.w", "x.conv.w"),
    ("guards", "l.{i:int} if 8 <= i < 24 -> t.{i + 16}", "l.8.w", "t.24.w"),
    ("per cent signs are text", "a.* -> \"50%s\".*.'%'", "a.b.w", "50%s.b.%.w"),
]


@pytest.mark.parametrize(("rule", "key", "new"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_new_key(rule: str, key: str, new: str, rename: Rename) -> None:
    assert rename(rule, key) == {key: new}


@pytest.mark.parametrize(("rule", "key", "new"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_short_cut_gives_the_same_key(rule: str, key: str, new: str) -> None:
    (parsed,) = parse_rules(Text.plain(rule), "key")
    short = renamer(parsed.left, parsed.right.templates[0]) if hasattr(parsed.left, "segments") else None
    assert short is None or short(key.split(".")) == new


def test_the_common_rules_take_the_short_cut() -> None:
    for text in ("module.** -> **", "** -> model.**", "a -> b", "l.*.x.** -> b.*.y.**", "l.{i:int}.{n} -> {n}.{i}"):
        (rule,) = parse_rules(Text.plain(text), "key")
        assert renamer(rule.left, rule.right.templates[0]) is not None, text


@pytest.mark.parametrize(
    ("rule", "key", "message"),
    [
        ("l.{i:int} -> l.{i - 1}", "l.0.w", "`{i - 1}` is negative (-1) where i = 0"),
        ("l.{i:int} -> l.{i / 2}", "l.3.w", "`{i / 2}` is not a whole number but 1.5"),
        ("l.{i:int} -> l.{6 // i}", "l.0.w", "`6 // i` divides by zero"),
        ("l.{i:int} -> l.{i * 9223372036854775807}", "l.2.w", "`i * 9223372036854775807` is beyond 64 bits"),
    ],
)
def test_arithmetic_that_gives_no_index(rule: str, key: str, message: str, rename: Rename) -> None:
    with pytest.raises(EvaluationError) as raised:
        rename(rule, key)
    assert str(raised.value) == message


def test_a_whole_quotient_of_a_division_is_refused_as_a_fraction_would_be(rename: Rename) -> None:
    with pytest.raises(EvaluationError):
        rename("l.{i:int} -> l.{i / 2}", "l.4.w")
