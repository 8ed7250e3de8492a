"""The matcher against a brute-force matcher that is too slow to use and too small to be wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from surgery.lang import parse_selector
from surgery.lang.automaton import Automaton
from surgery.lang.facts import Facts
from surgery.lang.pattern import Pattern
from surgery.lang.select import SelectorIndex
from surgery.text import Text

# --- the brute-force matcher ---------------------------------------------------------------------------------------
# A segment is a tuple of parts; a part is ("text", t), ("star",), ("deep",), ("capture", name, kind, alternatives) or
# ("group", alternatives); alternatives are texts that may hold dots.


def part_ways(parts: tuple, text: str, alone: bool) -> Iterator[list]:
    """Every way in which parts share `text`, which may hold dots where groups do."""
    if not parts:
        if not text:
            yield []
        return
    part, *others = parts
    kind = part[2] if part[0] == "capture" else part[0]
    if kind == "text" and part[0] == "text":
        takes = [part[1]]
    elif kind in ("group", "one_of"):
        takes = part[-1]
    else:
        least = 0 if kind == "star" and not alone else 1
        takes = [text[:n] for n in range(least, len(text) + 1)]
        takes = [t for t in takes if "." not in t and (kind != "int" or (t.isascii() and t.isdigit() and len(t) <= 18))]
    for taken in takes:
        if text.startswith(taken):
            for more in part_ways(tuple(others), text[len(taken) :], alone):
                yield [(part, taken), *more]


def ways(segments: tuple, key: list[str]) -> Iterator[list]:
    """Every way in which segments match all of `key`, in the order in which they are preferred."""
    if not segments:
        if not key:
            yield []
        return
    segment, *others = segments
    deep = segment[0][0] == "deep" or (segment[0][0] == "capture" and segment[0][2] == "deep")
    for n in range(len(key) + 1) if deep else range(len(key), 0, -1):
        text = ".".join(key[:n])
        for here in [[(segment[0], text)]] if deep else part_ways(segment, text, len(segment) == 1):
            for more in ways(tuple(others), key[n:]):
                yield here + more


def brute_force(segments: tuple, key: list[str], exact: bool) -> list[tuple]:
    """All matches with the topmost end: (end, captures, stars, groups)."""
    for end in [len(key)] if exact else range(len(key) + 1):
        found = []
        for way in ways(segments, key[:end]):
            captures: dict[str, str] = {}
            if all(captures.setdefault(p[1], t) == t for p, t in way if p[0] == "capture"):
                stars = tuple(t for p, t in way if p[0] in ("star", "deep"))
                groups = tuple(p[1].index(t) for p, t in way if p[0] == "group")
                found.append((end, captures, stars, groups))
        if found:
            return found
    return []


# --- random selectors and keys -------------------------------------------------------------------------------------

WORDS = ["a", "b", "ab", "aa", "1", "12", "0", "a1", "b_a", "1.0", "a.b"]


def random_part(draw: random.Random, names: dict[str, tuple]) -> tuple:
    match draw.randrange(8):
        case 0 | 1 | 2:
            return ("text", draw.choice([w for w in WORDS if "." not in w]))
        case 3 | 4:
            return ("star",)
        case 5:
            return ("group", tuple(draw.sample(WORDS, draw.randint(1, 3))))
    name = draw.choice("pqr")
    if name in names:
        return names[name]
    kind = draw.choice(["text", "int", "one_of", "text"])
    names[name] = ("capture", name, kind, tuple(draw.sample(WORDS, draw.randint(2, 3))) if kind == "one_of" else ())
    return names[name]


def random_selector(draw: random.Random) -> tuple:
    names: dict[str, tuple] = {}
    segments = []
    for _ in range(draw.randint(1, 4)):
        if draw.random() < 0.25:
            segments.append((("deep",),))
        elif draw.random() < 0.1 and ("s" in names or draw.random() < 0.5):
            segments.append((names.setdefault("s", ("capture", "s", "deep", ())),))
        else:
            parts: list[tuple] = []
            for _ in range(draw.choice([1, 1, 1, 2, 2, 3, 4])):
                part = random_part(draw, names)
                if parts and part[0] in ("star", "capture") and parts[-1][0] in ("star", "capture"):
                    part = ("text", "_")
                parts.append(part)
            segments.append(tuple(parts))
    return tuple(segments)


def text_of(segments: tuple, suffix: str = "") -> str:
    def one(part: tuple) -> str:
        match part:
            case ("text", text):
                return text
            case ("star",):
                return "*"
            case ("deep",):
                return "**"
            case ("group", alternatives):
                return f"({'|'.join(alternatives)})"
            case ("capture", name, kind, alternatives):
                kinds = {"text": "", "int": ":int", "deep": ":**", "one_of": f":{'|'.join(alternatives)}"}
                return f"{{{name}{suffix}{kinds[kind]}}}"
        raise AssertionError(part)

    return ".".join("".join(map(one, segment)) for segment in segments)


def random_key(draw: random.Random, segments: tuple) -> list[str]:
    """A key that often matches: made from the selector, then sometimes changed."""
    key: list[str] = []
    bound: dict[str, str] = {}
    for segment in segments:
        text = ""
        for part in segment:
            match part:
                case ("text", literal):
                    text += literal
                case ("star",):
                    text += draw.choice(["", "a", "b", "1", "ab", "_", "aa"])
                case ("deep",) | ("capture", _, "deep", _):
                    fresh = ".".join(draw.choices(["a", "b", "ab", "1", "c"], k=draw.randint(0, 3)))
                    text += bound.setdefault(part[1], fresh) if part[0] == "capture" else fresh
                case ("group", alternatives):
                    text += draw.choice(alternatives)
                case ("capture", name, kind, alternatives):
                    choices = {"text": ["a", "ab", "1", "a_b"], "int": ["0", "1", "12", "01"]}.get(kind, alternatives)
                    text += bound.setdefault(name, draw.choice(choices))
        key += text.split(".") if text else []
    key += draw.choices(["a", "b", "1", "weight"], k=draw.choice([0, 0, 1, 2]))
    if draw.random() < 0.3 and key:
        key[draw.randrange(len(key))] = draw.choice(["a", "b", "x", "1", "ab"])
    return [s for s in key if s] or ["a"]


def dotted_beside_others(segments: tuple) -> bool:
    """Whether a segment holds a group with dots beside open parts: the order of ways inside it is not compared."""
    return any(
        len(segment) > 1 and any("." in a for part in segment if part[0] in ("group", "capture") for a in part[-1])
        for segment in segments
    )


@pytest.mark.parametrize("exact", [False, True], ids=["leading part", "whole key"])
def test_a_pattern_matches_as_the_brute_force_matcher_does(exact: bool) -> None:
    draw = random.Random(2024 + exact)
    compared = matched = 0
    while compared < 25_000:
        segments = random_selector(draw)
        pattern = Pattern.of_text(text_of(segments))
        automaton = Automaton([pattern], exact=exact)
        for _ in range(25):
            key = random_key(draw, segments)
            expected = brute_force(segments, key, exact)
            match = pattern.match(key, exact=exact)
            note = f"{text_of(segments)} on {'.'.join(key)}"
            assert (match is not None) == bool(expected), note
            if match is not None:
                found = (match.end, match.captures, match.stars, match.groups)
                assert found in expected, note
                assert dotted_beside_others(segments) or found == expected[0], note
                assert automaton.candidates(key) == (0,), note
            elif not pattern.repeats:
                assert automaton.candidates(key) == (), note
            compared += 1
            matched += match is not None
    assert matched > 8_000


def test_every_way_to_match_is_found() -> None:
    draw = random.Random(7)
    for _ in range(400):
        segments = random_selector(draw)
        pattern = Pattern.of_text(text_of(segments))
        for _ in range(5):
            key = random_key(draw, segments)
            expected = [w for end in range(len(key) + 1) for w in _all(segments, key, end)]
            found = [(m.end, m.captures, m.stars, m.groups) for m in pattern.matches(key)]
            assert sorted(map(repr, found)) == sorted(map(repr, expected)), f"{text_of(segments)} on {key}"


def _all(segments: tuple, key: list[str], end: int) -> list[tuple]:
    return [(end, *w[1:]) for w in brute_force(segments, key[:end], exact=True)]


# --- algebra and guards --------------------------------------------------------------------------------------------


def random_algebra(draw: random.Random, depth: int) -> tuple[str, object]:
    """A selector as text, and as nested tuples for the naive reading below. No two paths share a capture."""
    if depth == 0 or draw.random() < 0.3:
        segments = random_selector(draw)
        return text_of(segments, f"_{draw.randrange(10**9)}"), segments
    left, right = random_algebra(draw, depth - 1), random_algebra(draw, depth - 1)
    match draw.randrange(3):
        case 0:
            return f"(({left[0]}) | ({right[0]}))", ("or", left[1], right[1])
        case 1:
            return f"(({left[0]}) except ({right[0]}))", ("except", left[1], right[1])
    needle = draw.choice(["a.b", "a", "b.a", "1"])
    return f'(({left[0]}) if key != "{needle}")', ("if", left[1], needle)


def naive(selector: object, key: list[str]) -> bool:
    match selector:
        case ("or", left, right):
            return naive(left, key) or naive(right, key)
        case ("except", left, right):
            return naive(left, key) and not naive(right, key)
        case ("if", inner, needle):
            return naive(inner, key) and ".".join(key) != needle
    return bool(brute_force(selector, key, exact=False))  # type: ignore[arg-type]


def test_the_algebra_selects_what_its_naive_reading_selects() -> None:
    draw = random.Random(11)
    compared = 0
    while compared < 10_000:
        text, naively = random_algebra(draw, 2)
        index = SelectorIndex([parse_selector(Text.plain(text)).items[0].selector])
        for _ in range(20):
            key = random_key(draw, random_selector(draw))
            found = index.first(key, Facts(".".join(key), None, None))
            assert (found is not None) == naive(naively, key), f"{text} on {key}"
            compared += 1


def test_first_rule_wins_through_the_index_as_in_a_loop() -> None:
    draw = random.Random(5)
    for _ in range(60):
        many = [random_selector(draw) for _ in range(draw.randint(2, 25))]
        index = SelectorIndex([parse_selector(Text.plain(text_of(s))).items[0].selector for s in many])
        for _ in range(40):
            key = random_key(draw, draw.choice(many))
            facts = Facts(".".join(key), None, None)
            expected = [number for number, s in enumerate(many) if brute_force(s, key, exact=False)]
            assert [number for number, _, _ in index.selecting(key, facts)] == expected
            first = index.first(key, facts)
            assert (first[0] if first else None) == (expected[0] if expected else None)
            if first:
                match = first[2]
                values = (match.end, match.captures, match.stars, match.groups)
                assert values in brute_force(many[first[0]], key, exact=False)
