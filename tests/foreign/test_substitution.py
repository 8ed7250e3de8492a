"""Regular expressions over keys as rules: what is printed means the same, or says how it differs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from surgery.foreign.remarks import Inexpressible, Reading
from surgery.foreign.substitution import selection, substitution
from surgery.foreign.trial import Trial

EXACT = [
    # as people write them: a prefix stripped, added, changed
    (r"^module\.", "", ["optional module.* -> *"]),
    (r"^", "model.", ["optional * -> model.*"]),
    (r"^backbone\.", "encoder.", ["optional backbone.* -> encoder.*"]),
    (r"^encoder(.+)", r"enc\1", ["optional encoder{x} -> enc{x}", "optional encoder.* -> enc.*"]),
    (r"^module\.(.*)", r"\1", ["optional module.* -> *"]),
    (r"^layer(\d+)\.(\d+)\.", r"blocks.\2.\1.", ["optional layer{i:int}.{j:int}.* -> blocks.{j}.{i}.*"]),
    (r"^(?P<n>q|k|v)_proj\.", r"to_\g<n>.", ["optional (q|k|v)_proj.* -> to_(q|k|v).*"]),
    (r"^(?:a|b)\.", "c.", ["optional (a|b).* -> c.*"]),
    (r"^conv([123])\.", r"convs.\1.", ["optional conv(1|2|3).* -> convs.(1|2|3).*"]),
    # what must not follow
    (r"^model\.(?!language_model\.)", "model.language_model.",
     ["optional model.* except model.language_model.* -> model.language_model.*"]),
    # the end of a key, below which nothing lies
    (r"^(.*)\.weight$", r"\1.w", ["optional *.**.weight except *.**.weight.* -> *.**.w"]),
    # choices that change places have to be spelled out
    (r"^(q|k)_(a|b)\.", r"\2_\1.", [f"optional {x}_{y}.* -> {y}_{x}.*" for x in "qk" for y in "ab"]),
]  # fmt: skip

READ = [
    (r"\.attn\.", ".self_attn.", {Reading.TWICE},
     ["optional **.*.attn.*.**.attn.* -> **.*.self_attn.*.**.self_attn.*",
      "optional **.*.attn.* -> **.*.self_attn.*"]),
    ("layers", "blocks", {Reading.TWICE},
     ["optional **.*layers*.**.*layers* -> **.*blocks*.**.*blocks*", "optional **.*layers* -> **.*blocks*"]),
    ("^a.b", "c", {Reading.DOT}, ["optional a.b* -> c*"]),
    (r"^backbone", "", {Reading.EMPTY}, ["optional backbone* -> *"]),
    (r"^(\w+)\.gamma", r"\1.weight", {Reading.WORD}, ["optional {x}.gamma* -> {x}.weight*"]),
    (r"backbone\.", "", {Reading.FIRST, Reading.SEVERAL},
     ["optional {p:**}.backbone.{x} -> {p}.{x}", "optional {p:**}.{x}backbone.{y} -> {p}.{x}{y}"]),
    (r"^blocks\.(\d+)", r"layers.\1", {Reading.EDGE}, ["optional blocks.{i:int} -> layers.{i}"]),
    (r"(?<!\w)norm\.", "ln.", {Reading.FIRST, Reading.EDGE}, ["optional **.norm.* -> **.ln.*"]),
    (r"(^|model\.)norm\.", r"\1lm.norm.", {Reading.TWICE, Reading.SEVERAL},
     ["optional norm.* -> lm.norm.*",
      "optional **.*model.norm.**.*model.norm.* -> **.*model.lm.norm.**.*model.lm.norm.*",
      "optional **.*model.norm.* -> **.*model.lm.norm.*"]),
]  # fmt: skip

INEXPRESSIBLE = [
    (r"(\w+)\.\1\.", r"\1.", "a group that is referred to inside of the pattern"),
    ("(", "", "it is no regular expression"),
    ("(?i)module", "", "it sets flags"),
    (r"(ab)+", "c", "a group that is repeated"),
    (r"a{2,3}", "b", "a part that stands a varying number of times"),
    (r"[a-z]x", "b", "a class that stands for one of many characters"),
    (r"\s", "", "a class|`"),
    (r"(\d+)(\d+)", r"\1", "two open parts of it stand side by side"),
    (r"^module\.(.*)", "", "the whole key away|end of a key"),
    (r"^a\.(.*)", r"\1.a", "it moves, repeats or drops the end of a key"),
    (r"a$b", "c", "the end of a key in its midst"),
    (r"a(?!b)c", "d", "looks ahead"),
    (r"^\.", "", "an empty segment"),
    (r"^a", r"\1", "a group `1` that the pattern has not"),
    (r"^a", r"\q", r"holds `\\q`"),
    (r"^(?>a)", "b", r"`\(\?>"),
    (r"a*+b", "b", "a possessive repeat"),
    ("(" * 60 + "a" + ")" * 60, "b", "nested too deep"),
    ("(?:a|bc.)" * 8, "b", "more than 64 branches"),
]


@pytest.mark.parametrize(("pattern", "replacement", "rules"), EXACT)
def test_patterns_with_an_exact_form(pattern: str, replacement: str, rules: list[str]) -> None:
    written = substitution(pattern, replacement)
    assert [rule.text for rule in written] == rules
    assert set().union(*(rule.readings for rule in written)) <= {Reading.DOT} if "." in pattern else True


@pytest.mark.parametrize(("pattern", "replacement", "readings", "rules"), READ)
def test_patterns_that_are_read(pattern: str, replacement: str, readings: set[Reading], rules: list[str]) -> None:
    written = substitution(pattern, replacement)
    assert [rule.text for rule in written] == rules
    assert set().union(*(rule.readings for rule in written)) == readings


@pytest.mark.parametrize(("pattern", "replacement", "why"), INEXPRESSIBLE)
def test_patterns_without_a_form(pattern: str, replacement: str, why: str) -> None:
    with pytest.raises(Inexpressible, match=why):
        substitution(pattern, replacement)


WORDS = ["attn", "a", "b", "layers", "layer", "0", "1", "12", "norm", "model", "x", "q", "k", "_", "w"]


def _pattern(rng: random.Random) -> tuple[str, str]:
    """A pattern of pieces that people use, and a replacement that may use its groups."""
    groups = 0
    pieces = ["^"] if rng.random() < 0.4 else []
    for _ in range(rng.randint(1, 4)):
        plain = [re.escape(rng.choice(WORDS))] * 5
        bare = [
            *plain,
            r"\d+",
            f"(?:{rng.choice(WORDS)})?",
            f"(?!{rng.choice(WORDS)})",
            f"(?<!{rng.choice(WORDS)})",
            "[qk]",
        ]
        captured = [r"(\d+)", "(q|norm)", r"(a\.b|k)", "(.*)", "(.+)", r"([^.]+)", "(.*?)"]
        piece = rng.choice(bare + captured)
        groups += piece in captured
        pieces.append(piece + (r"\." if rng.random() < 0.6 else ""))
    pieces += ["$"] if rng.random() < 0.2 else []
    filled = [
        (rf"\g<{rng.randint(1, groups)}>" if groups and rng.random() < 0.5 else rng.choice(WORDS))
        + rng.choice(["", "."])
        for _ in range(rng.randint(0, 3))
    ]
    return "".join(pieces), "".join(filled)


def _key(rng: random.Random) -> str:
    return ".".join("".join(rng.choices(WORDS, k=rng.choice([1, 1, 1, 2]))) for _ in range(rng.randint(1, 5)))


def _may_differ(pattern: str, key: str, readings: set[Reading]) -> bool:
    """Whether the readings of a rule allow it to give another key than `re.sub`."""
    if readings & {Reading.SEVERAL, Reading.EDGE, Reading.WORD}:
        return True
    found = list(re.finditer(pattern, key))
    if Reading.TWICE in readings and len(found) > 1:
        first, second = found[:2]
        return len(found) > 2 or "." not in key[max(first.start(), first.end() - 1) : second.start()]
    return False


def test_rules_give_the_keys_that_re_sub_gives(cases: Callable[[int], int]) -> None:
    rng = random.Random(0)
    compared = changed = 0
    for _ in range(cases(800)):
        pattern, replacement = _pattern(rng)
        try:
            rules = substitution(pattern, replacement)
        except Inexpressible:
            continue
        readings: set[Reading] = set().union(*(rule.readings for rule in rules))
        trial = Trial([rule.text for rule in rules])
        for _ in range(30):
            key = _key(rng)
            wanted = re.sub(pattern, replacement, key, count=Reading.FIRST in readings)
            if not all(wanted.split(".")) or _may_differ(pattern, key, readings):
                continue
            assert trial.new_key(key)[1] == wanted, (pattern, replacement, key, [rule.text for rule in rules])
            compared += 1
            changed += wanted != key
    assert compared > changed > cases(800) // 4


def test_selectors_take_the_keys_in_which_re_search_finds_something(cases: Callable[[int], int]) -> None:
    rng = random.Random(1)
    compared = found = 0
    for _ in range(cases(300)):
        pattern, _ = _pattern(rng)
        try:
            rules = selection(pattern)
        except Inexpressible:
            continue
        readings: set[Reading] = set().union(*(rule.readings for rule in rules))
        trial = Trial([rule.text for rule in rules])
        for _ in range(30):
            key = _key(rng)
            if _may_differ(pattern, key, readings):
                continue
            wanted = re.search(pattern, key) is not None
            assert (trial.new_key(key)[0] is not None) == wanted, (pattern, key, [rule.left for rule in rules])
            compared += 1
            found += wanted
    assert compared > found > cases(300) // 4
