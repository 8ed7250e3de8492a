"""Whether paths can select one key, and whether one can match in two ways, against trying all short keys."""

from __future__ import annotations

import itertools

import pytest

from surgery.inversion.languages import ambiguous, meet
from surgery.lang.pattern import Pattern

PATHS = [
    *["a", "b.a", "a.*", "*", "**", "**.a", "a.**", "a.**.b", "{x}", "{x:int}", "{x}.{y:int}", "a*", "*a", "{x}a"],
    *["a{x:int}", "(a|b)", "(a|a.b)", "{p:a|1}.b", "a.(a|b)*", "*a*", "(a|b){x:int}", "{x:int}1"],
    *["**.a.**", "{p:**}.b", "*.(1|1.a)"],
]
ALPHABET = "ab1"
#: all keys of up to three segments, with one or two characters in each
SEGMENTS = ["".join(word) for length in (1, 2) for word in itertools.product(ALPHABET, repeat=length)]
KEYS = [tuple(key) for length in (1, 2, 3) for key in itertools.product(SEGMENTS, repeat=length)]


def selected(text: str) -> set[tuple[str, ...]]:
    pattern = Pattern.of_text(text)
    return {key for key in KEYS if pattern.match(key) is not None}


@pytest.mark.parametrize("text", PATHS)
def test_paths_that_share_a_key_meet(text: str) -> None:
    mine = selected(text)
    for other in PATHS:
        shared = bool(mine & selected(other))
        assert meet(Pattern.of_text(text).path, Pattern.of_text(other).path) == shared, other


@pytest.mark.parametrize("text", PATHS)
def test_paths_with_two_ways_to_match_are_ambiguous(text: str) -> None:
    pattern = Pattern.of_text(text)
    several = any(len(list(itertools.islice(pattern.matches(key), 2))) > 1 for key in KEYS)
    assert ambiguous(pattern.path) == several


def test_the_text_of_a_parameter_may_be_any() -> None:
    anything, one = Pattern.of_text("a").path, Pattern.of_text("b").path
    from surgery.lang.path import ParameterText, Path, Segment

    parameter = Path((Segment((ParameterText("p"),)),))
    assert meet(parameter, anything)
    assert meet(parameter, one)
    assert not ambiguous(Path((*parameter.segments, *Pattern.of_text("{i}").path.segments)))
