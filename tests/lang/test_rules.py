"""Sections 2, 4 and 5 of the language: where rules begin and end, and what stands on their right sides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from surgery.diagnostics import SurgeryError
from surgery.lang import KINDS, parse_expression, parse_rules, parse_selector, union_of
from surgery.lang.layout import split_rules
from surgery.text import Text

Rename = Callable[..., dict[str, str]]

# (concept, text, the rules in it)
TABLE = [
    ("one line", "a -> b", ["a -> b"]),
    ("both arrows are one", "a → b", ["a -> b"]),
    ("no blanks about the arrow", "a->b,c→d", ["a -> b", "c -> d"]),
    ("a line is a rule", "a -> b\nc -> d\n", ["a -> b", "c -> d"]),
    ("a comma ends a rule too", "a -> b, b -> a", ["a -> b", "b -> a"]),
    ("a comma at a line end ends it once", "a -> b,\nc -> d,\n", ["a -> b", "c -> d"]),
    ("empty lines count for nothing", "\n\n a -> b \n\n\n c -> d\n\n", ["a -> b", "c -> d"]),
    ("a comment behind a rule", "a -> b # swap, -> or (not", ["a -> b"]),
    ("a comment on a line", "# first\na -> b\n# last", ["a -> b"]),
    ("a hash inside text is no comment", '"a#b" -> c', ['"a#b" -> c']),
    ("commas inside brackets", "[a.{m}, b.{m}] -> c.{m} via lora(1, 2), d -> e", None),
    (
        "line ends inside brackets",
        "[a.{m},\n b.{m}] -> c.{m} via split([1,\n 2])",
        ["[a.{m}, b.{m}] -> c.{m} via split([1, 2])"],
    ),
    ("commas inside quotes", '"a,b" -> c', ['"a,b" -> c']),
    ("brackets inside quotes", '"a(b" -> c', ['"a(b" -> c']),
    ("arrows inside quotes", '"a->b" -> c', ['"a->b" -> c']),
    ("goes on before an arrow", "a\n  -> b", ["a -> b"]),
    ("goes on behind an arrow", "a ->\n  b", ["a -> b"]),
    ("goes on before via", "a -> b\n  via transpose(0, 1)", ["a -> b via transpose(0, 1)"]),
    ("goes on behind via", "a -> b via\n  transpose(0, 1)", ["a -> b via transpose(0, 1)"]),
    ("goes on before a bar", "a -> b via flatten\n | unsqueeze(0)", ["a -> b via flatten | unsqueeze(0)"]),
    ("goes on behind a bar", "a |\n b -> c", ["a | b -> c"]),
    ("goes on over comments", "a  # one\n # two\n -> b", ["a -> b"]),
    ("a key that begins with via is a rule", "a -> b\nvia.x -> c", ["a -> b", "via.x -> c"]),
    ("a key that ends with via is a rule", "a -> b.via\nc -> d", ["a -> b.via", "c -> d"]),
    ("optional", "optional a -> b, c -> d", ["optional a -> b", "c -> d"]),
    ("a key called optional", "optional -> b, optional.a -> c", ['"optional" -> b', "optional.a -> c"]),
    ("carriage returns", "a -> b\r\nc -> d\r\n", ["a -> b", "c -> d"]),
    ("nothing", " \n # nothing\n", []),
]


@pytest.mark.parametrize(("text", "rules"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_where_rules_begin_and_end(text: str, rules: list[str] | None) -> None:
    found = [str(rule) for rule in parse_rules(Text.plain(text), "key")]
    assert found == rules or (rules is None and len(found) == 2)


def test_every_rule_knows_its_place() -> None:
    text = "a -> b\n\n  # a comment\n  c\n    -> d, e -> f"
    spans = [rule.span for rule in parse_rules(Text.plain(text, "r"), "key")]
    assert [str(span) for span in spans] == ["r:1:1", "r:4:3", "r:5:11"]
    assert [piece.value for piece in split_rules(Text.plain(text))] == ["a -> b", "c\n    -> d", "e -> f"]


def test_all_rules_of_a_step_see_the_keys_as_they_were(rename: Rename) -> None:
    assert rename("a -> b, b -> a", "a.w", "b.w") == {"a.w": "b.w", "b.w": "a.w"}


def test_the_first_rule_that_selects_a_key_applies(rename: Rename) -> None:
    assert rename("fc.weight -> x, fc -> head", "fc.weight", "fc.bias") == {"fc.weight": "x", "fc.bias": "head.bias"}


def test_several_selectors_are_a_union_each_with_its_place() -> None:
    both = union_of([parse_selector(Text.plain("a | b")), parse_selector(Text.plain("optional c"))])
    assert [(str(item), item.optional) for item in both.items] == [("a | b", False), ("optional c", True)]


# kind -> rules that must be read, and printed so that they are read again
READ = {
    "layer": [
        "fc -> Linear(2048, 10)",
        "fc -> Linear(old.in_features, 10)",
        "fc -> Linear(old.in_features, ${n})",
        "fc -> Sequential(Dropout(0.2), old)",
        "fc -> Sequential(Dropout(p=0.2), Linear(old.in_features // 2, 10))",
        "conv1 -> Conv2d(4, 64, ...)",
        "conv1 -> Conv2d(4, 64, bias=False, ...)",
        "conv1 -> Conv2d(4, 64, kernel_size=(7, 7), padding=[3, 3], padding_mode='reflect')",
        "**[SiLU] -> ReLU6(inplace=True)",
        "**[SqueezeExcitation] -> Identity()",
        "**[BatchNorm2d] -> GroupNorm(8, old.num_features) with old",
        "conv1 -> Conv2d(4, 64, ...) with overlap(fill='mean')",
        "conv1 -> Conv2d(4, 64, ...) with overlap",
        "conv1 -> Conv2d(4, 64, ...) with adapt_channels(4)",
        "fc -> mypkg.layers.Head(None, 0.001, -1, 2 * (3 + 4), not_a_word=True)",
        "fc -> old",
        "layers.{i:int} if i >= 8 -> Identity()",
        "optional aux -> Identity()",
    ],
    "cast": ["**.norm* -> float32", "** -> bfloat16", "** -> ${dtype}", "** if dtype == int64 -> int32"],
    "device": ["features -> cuda:0 or cpu", "** -> cpu", "** -> ${where}", "** -> mps or ${other} or cpu"],
    "init": ["classifier.1.weight -> trunc_normal_(std=0.02)", "**.bias -> zeros_", "a -> uniform_(-0.1, 0.1)"],
    "set": ["**[BatchNorm2d] -> eps=0.001, momentum=0.01", "a -> inplace=True", "a -> mode='nearest', size=(2, 2)"],
    "tie": ["lm_head.weight -> embed.weight", "decoder.{i}.w -> encoder.{i}.w"],
    "create": [
        "pos.bias -> zeros(1, 768)",
        "mean -> tensor([0.485, 0.456, 0.406])",
        "head -> Linear(768, 10)",
        "${name}.x -> full((1, 2), 0.5, dtype=float16)",
    ],
}


@pytest.mark.parametrize(("kind", "rule"), [(kind, rule) for kind, rules in READ.items() for rule in rules])
def test_right_sides(kind: str, rule: str) -> None:
    (parsed,) = parse_rules(Text.plain(rule), kind)
    (again,) = parse_rules(Text.plain(str(parsed)), kind)
    assert again == parsed
    assert str(parsed).replace('"', "'") == rule


def test_every_kind_of_rule_is_read_above() -> None:
    assert set(READ) | {"key"} == set(KINDS)


def test_a_rule_of_set_ends_at_the_line_end_only() -> None:
    rules = parse_rules(Text.plain("a -> eps=1e-3, momentum=0.01\nb -> eps=1"), "set")
    assert [[name for name, _ in rule.right.pairs] for rule in rules] == [["eps", "momentum"], ["eps"]]


def test_layer_and_device_rules_end_at_commas() -> None:
    assert len(parse_rules(Text.plain("fc → Linear(2048, 10), conv1 → Conv2d(4, 64, ...)"), "layer")) == 2
    assert len(parse_rules(Text.plain("features -> cuda:0 or cpu, ** -> cpu"), "device")) == 2
    assert len(parse_rules(Text.plain("**.norm* -> float32, ** -> bfloat16"), "cast")) == 2


@pytest.mark.parametrize("text", ["chunk(dim=0)", "transpose", "old.weight", "a.b.C(1)"])
def test_an_expression_by_itself(text: str) -> None:
    assert str(parse_expression(Text.plain(text))) == text


# --- parameters ----------------------------------------------------------------------------------------------------


def bound(text: str, kind: str = "key", **params: object) -> str:
    return str(parse_rules(Text.plain(text), kind, params)[0])


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("$x.a -> b", {"x": "enc"}, "enc.a -> b"),
        ("$x.a -> b", {"x": "enc.0"}, "enc.0.a -> b"),
        ("$x.a -> b", {"x": ""}, "a -> b"),
        ("$x.a -> b", {"x": "**"}, '"**".a -> b'),
        ("$x.a -> b", {"x": "odd name"}, '"odd name".a -> b'),
        ("$x.a -> b", {"x": "a|b"}, '"a|b".a -> b'),
        ("layer$n.a -> l${n}x.a", {"n": 3}, "layer3.a -> l3x.a"),
        ("a -> $x.b", {"x": True}, "a -> true.b"),
        ("a if ndim == $n -> b", {"n": 4}, "a if ndim == 4 -> b"),
        ("a if dtype == $d -> b", {"d": "float16"}, 'a if dtype == "float16" -> b'),
        ("a.{i:int} -> b.{i + $n}", {"n": 16}, "a.{i:int} -> b.{i + 16}"),
        ("a -> b via rearrange('(h d) -> h d', h=$n)", {"n": 12}, 'a -> b via rearrange("(h d) -> h d", h=12)'),
        ("a -> b via split($sizes)", {"sizes": [4, 2]}, "a -> b via split([4, 2])"),
        ("a -> b via full($v)", {"v": "x, y)"}, 'a -> b via full("x, y)")'),
    ],
)
def test_a_parameter_is_one_value_and_never_parsed_again(text: str, params: dict, expected: str) -> None:
    assert bound(text, **params) == expected


def test_parameters_of_other_right_sides() -> None:
    assert bound("** -> $d", "cast", d="float16") == '** -> "float16"'
    assert bound("fc -> Linear(4, $n)", "layer", n=10) == "fc -> Linear(4, 10)"


def test_rules_name_their_parameters_with_places() -> None:
    (rule,) = parse_rules(Text.plain("$a.{i:int} if i > $b -> x.$a", "r"), "key")
    assert [(name, span.column) for name, span in rule.parameters] == [("a", 1), ("b", 19), ("a", 27)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "`$x` is a list, not text of a key"),
        (None, "`$x` is None, not text of a key"),
        ("", "nothing is left of this key: the parameter is empty"),
        ("a..b", "`$x` is `a..b`, a key with an empty segment"),
    ],
)
def test_values_that_are_no_text_of_a_key(value: object, message: str) -> None:
    with pytest.raises(SurgeryError) as raised:
        bound("$x -> b", x=value)
    (wrong,) = raised.value.diagnostics
    assert (wrong.code, wrong.message) == ("parameter", message)
    assert wrong.span is not None
    assert (wrong.span.column, wrong.span.length) == (1, 2)
