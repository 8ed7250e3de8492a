"""Text and keys that were made to break things: one typed error, or the right result, and soon."""

from __future__ import annotations

import contextlib
import random
import time
import tracemalloc
from collections.abc import Callable

import pytest

from surgery.diagnostics import SurgeryError
from surgery.lang import KINDS, parse_rules, parse_selector
from surgery.lang.automaton import Automaton
from surgery.lang.pattern import Pattern
from surgery.text import Text

SEEDS = {
    "key": [
        "module.encoder_q.** -> **",
        "model.layers.{i:int} if 8 <= i < 24 and dtype in [float16, bfloat16] -> tail.layers.{i + 16}",
        "_blocks.0.(_depthwise_conv|_bn1|_bn2) -> features.1.0.block.(0.0|0.1|2.1)",
        "[base.{m:**}.weight, ad.{m}.lora_A.weight] -> {m}.weight via lora(alpha=16) | transpose(0, 1)",
        "optional (a|b|c).{k:**} | d.\"odd 'name'\".{k:**} except a.b -> {k} via mean",
        "layers.{i}.{p:q|k|v}_*.w -> l.$x.{i}.{p:query|key|value}_*.w via rearrange('(h d) e -> h d e', h=$heads)",
    ],
    "layer": ["fc → Sequential(Dropout(0.2), Linear(old.in_features, 10)) with overlap(fill='mean')", "a -> C(4, ...)"],
    "cast": ["**.norm* if not floating -> float32"],
    "device": ["features -> cuda:0 or cpu"],
    "init": ["a.*[Linear|Conv2d].weight -> trunc_normal_(std=2e-2)"],
    "set": ["**[BatchNorm2d] -> eps=1e-3, momentum=0.01"],
    "tie": ["lm_head.weight -> embed.weight"],
    "create": ["mean -> tensor([0.485, 0.456, -1])"],
}
PIECES = [
    *"()[]{}|*.,:;=<>-+/%$\\\"'#\n\t \0\x1b\u202e",
    "->",
    "**",
    "***",
    "if ",
    " via ",
    " except ",
    "{i}",
    "(a|b)",
    "...",
    "not ",
    "9" * 25,
    "é",
    "1e999",
    "$x",
    "${",
]


def mutated(draw: random.Random, text: str) -> str:
    for _ in range(draw.randint(1, 4)):
        at, end = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
        match draw.randrange(5):
            case 0:
                text = text[:at] + draw.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[min(end, at + 5) :]
            case 2:
                text = text[:at] + text[at:end] * 2 + text[end:]
            case 3:
                other = draw.choice(SEEDS["key"])
                text = text[:at] + other[draw.randrange(len(other)) :]
            case 4:
                text = text[:at] + draw.choice(PIECES) + text[at + 1 :]
        text = text[:2000]
    return text


def test_mutated_rules_are_read_or_refused(cases: Callable[[int], int]) -> None:
    draw = random.Random(99)
    refused = unsafe = 0
    slowest = 0.0
    count = cases(2000)
    for _ in range(count):
        kind = draw.choice([*KINDS, "key", "key", "key"])
        text = mutated(draw, draw.choice(SEEDS[kind]))
        begin = time.process_time()
        try:
            rules = parse_rules(Text.plain(text), kind, {"x": "a.b", "heads": 4} if draw.random() < 0.5 else None)
        except SurgeryError as error:
            refused += 1
            unsafe += "\x1b" in str(error) or not all(d.span for d in error.diagnostics)
        else:
            for rule in rules:
                assert parse_rules(Text.plain(str(rule)), kind) == (rule,), text
        slowest = max(slowest, time.process_time() - begin)
    assert unsafe == 0
    assert count // 3 < refused < count
    assert slowest < 2


LONG = 90_000


@pytest.mark.parametrize(
    "text",
    [
        "(" * LONG + " -> b",
        "a" + ")" * LONG,
        "(" * 39 + "a.*" + ")" * 39 + " -> b",
        "a -> " + "f(" * 39 + ")" * 39,
        "a if " + "not " * 20_000 + "floating -> b",
        "a if " + "-" * LONG + "1 == 1 -> b",
        "a if " + "1 + " * 20_000 + "1 == 1 -> b",
        "a if " + "1 < " * 20_000 + "1 -> b",
        "a if " + "floating or " * 7_000 + "floating -> b",
        "a" * LONG + " -> b",
        "a." * (LONG // 2) + "a -> b",
        "*." * (LONG // 2) + "a -> b",
        "**." * (LONG // 3) + "a -> b",
        "a | " * (LONG // 4) + "a -> b",
        "a except " * (LONG // 9) + "a -> b",
        "(" + "|".join(f"a{i}" for i in range(10_000)) + ") -> b",
        "(1.0|2.0)" * 20 + " -> b",
        '"' + "a" * LONG + '" -> b',
        '"' + "\\" * LONG + '" -> b',
        "#" * LONG,
        "\n" * LONG,
        "," * LONG,
        "a -> b," * 12_000,
        "a -> b\n" * 12_000,
        "a" * 200_000,
        "'" * LONG,
        "{" * 30 + "}" * 30,
        "-" * LONG + ">",
        "a" + " " * LONG + "-> b",
        "(a" + "|a" * 40_000,
        "(a" + " |" * 40_000,
    ],
    ids=lambda text: f"{text[:12]!r} {len(text)}",
)
def test_long_and_deep_text(text: str) -> None:
    begin = time.process_time()
    try:
        rules = parse_rules(Text.plain(text), "key")
    except SurgeryError as error:
        str(error)
    else:
        for rule in rules[:3]:
            Pattern.match(Pattern(rule.left), ["a"]) if hasattr(rule.left, "segments") else None
            str(rule)
    assert time.process_time() - begin < 4


@pytest.mark.parametrize(
    ("selector", "key"),
    [
        ("*a*a*a*a*a*a*a*b", "a" * 2_000),
        ("{x}a{y}a{z}a*a*b", "a" * 2_000),
        ("{x:int}1*1{y:int}x", "1" * 2_000),
        ("**.**.**.**.**.**.**.**.**.x", ".".join("a" * 400)),
        ("**.a.**.a.**.a.**.a.**.a.**.x", ".".join("a" * 400)),
        ("{p:**}.a.{q:**}.a.**.a.**.x", ".".join("a" * 400)),
        ("**.(a|a.a|a.a.a).**.(a|a.a).**.x", ".".join("a" * 300)),
        ("(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)(a|aa)*(a|aa)b", "a" * 500),
        ("**.*a*.**.*a*.**.*b", ".".join(["aaaa"] * 200)),
    ],
)
def test_patterns_that_make_others_blow_up(selector: str, key: str) -> None:
    begin = time.process_time()
    pattern = Pattern.of_text(selector)
    assert pattern.match(key.split(".")) is None
    assert Automaton([pattern]).candidates(key.split(".")) == ()
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("selector", "key"),
    [
        ("{p:**}.y.{q:**}.{r:**}.{p}.y.{q}.{r}.x", ".".join(["y", *map(str, range(150)), "y", "x"] * 2)),
        ("{a}_{b}_{c}x{a}_{b}_{c}", "_".join(map(str, range(500))) + "x" + "_".join(map(str, range(500, 900)))),
    ],
)
def test_repeated_captures_are_bounded(selector: str, key: str) -> None:
    begin = time.process_time()
    pattern = Pattern.of_text(selector)
    with pytest.raises(SurgeryError, match="too-large"):
        pattern.match(key.split("."))
    assert time.process_time() - begin < 4


def test_an_integer_capture_takes_no_more_digits_than_fit() -> None:
    assert Pattern.of_text("l.{i:int}").match(["l", "9" * 5_000]) is None
    found = Pattern.of_text("l.{i:int}").match(["l", "9" * 18])
    assert found is not None
    assert found.captures == {"i": "9" * 18}


# --- growth --------------------------------------------------------------------------------------------------------


def _seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def _keys(count: int) -> list[list[str]]:
    return [f"model.layers.{i // 4}.block{i % 4}.attn_{i % 7}.weight".split(".") for i in range(count)]


@pytest.mark.parametrize(
    "selector", ["model.layers.{i:int}.**.weight", "**.attn_{n:int}.*", "**.block*.{x}_{y}.weight"]
)
def test_ten_times_the_keys_cost_at_most_twelve_times_the_time(selector: str) -> None:
    pattern = Pattern.of_text(selector)

    def matching(keys: list[list[str]]) -> Callable[[], object]:
        return lambda: [pattern.match(key) for key in keys]

    few, many = _seconds(matching(_keys(1_000))), _seconds(matching(_keys(10_000)))
    assert many < 12 * few + 0.02


def test_the_index_grows_with_the_keys_only() -> None:
    def matching(rules: int, keys: list[list[str]]) -> Callable[[], object]:
        patterns = [Pattern.of_text(f"model.layers.*.block{i}.**") for i in range(rules)]
        automaton = Automaton(patterns)
        return lambda: [automaton.candidates(key) for key in keys]

    keys = _keys(10_000)
    assert _seconds(matching(400, keys)) < 3 * _seconds(matching(10, keys)) + 0.02


def test_parsing_grows_with_the_text() -> None:
    text = "model.layers.{i:int}.(q|k|v)_proj.weight -> h.{i + 1}.attn.(q|k|v).weight\n"
    few = _seconds(lambda: parse_rules(Text.plain(text * 20), "key"))
    many = _seconds(lambda: parse_rules(Text.plain(text * 200), "key"))
    assert many < 12 * few + 0.05


def test_memory_of_the_index_is_bounded() -> None:
    patterns = [Pattern.of_text(f"**.a{i}*.**.b{i}*.**") for i in range(60)]
    automaton = Automaton(patterns)
    draw = random.Random(3)
    tracemalloc.start()
    for _ in range(2_000):
        automaton.candidates([draw.choice("ab") + str(draw.randrange(90)) + draw.choice("xyz") for _ in range(6)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 * 2**20


def test_a_selector_of_a_hundred_thousand_characters() -> None:
    names = [f"l{i}.w" for i in range(8_000)]
    selection = parse_selector(Text.plain(" | ".join(names)))
    assert len(selection.items[0].selector.operands) == 8_000  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["a." * 20_000 + "b -> c", "a." * 20_000 + "b"])
@pytest.mark.parametrize("kind", ["set", "cast", "key", "layer"])
def test_what_is_wrong_with_a_long_text_is_told_soon(text: str, kind: str) -> None:
    begin = time.process_time()
    with contextlib.suppress(SurgeryError):
        parse_rules(Text.plain(text), kind)
    assert time.process_time() - begin < 5
