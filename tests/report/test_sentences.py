import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgery.report.sentences import collapse_sentences

INDEX = re.compile(r"\{(?:([a-z])=)?([0-9,-]+)\}|\{([a-z])([+-][0-9]+)?\}")


def numbers(text: str) -> list[int]:
    found = []
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def expand(text: str) -> list[str]:
    """What a sentence stands for, read as the documentation says: the reference of the tests."""
    sets = [(match[1], numbers(match[2])) for match in INDEX.finditer(text) if match[2]]
    named = {name: values for name, values in sets if name}
    free = [values for name, values in sets if not name]
    per_part = [len(INDEX.findall(part)) for part in re.split(r" -> |, |\n", text)]
    beside = not named and max(per_part) < 2
    found = []
    choices = zip(*free, strict=True) if beside else product(*free)
    for taken in list(choices) or [()]:
        for chosen in product(*named.values()):
            names = dict(zip(named, chosen, strict=True))
            waiting = iter(taken)

            def put(match: re.Match) -> str:
                name = match[1] or match[3]
                return str(names[name] + int(match[4] or 0)) if name else str(next(waiting))  # noqa: B023

            found.append(INDEX.sub(put, text))
    return found


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (["a.3 -> b.3"], "a.3 -> b.3"),
        ([f"a.{i} -> b.{i}" for i in range(12)], "a.{0-11} -> b.{0-11}"),
        ([f"a.{i} -> b.{i + 16}" for i in range(8, 24)], "a.{8-23} -> b.{24-39}"),
        ([f"a.{i}.{j} -> b.{j}.{i}" for i in (0, 1) for j in (0, 1)], "a.{i=0,1}.{j=0,1} -> b.{j}.{i}"),
        ([f"a.{i}.{j}" for i in (0, 1) for j in (0, 1)], "a.{0,1}.{0,1}"),
        ([f"a.{i}.{i}" for i in (0, 1)], "a.{i=0,1}.{i}"),
        ([f"a.{i} -> b.{j}" for i in (0, 1) for j in (0, 1)], "a.{i=0,1} -> b.{j=0,1}"),
        ([f"e.{e}.l.{i} -> l.{i}" for e in range(3) for i in range(3)], "e.{0-2}.l.{i=0-2} -> l.{i}"),
    ],
)
def test_many_as_one(said, text):
    found = collapse_sentences((one, None) for one in said)
    assert [(s.text, s.count) for s in found] == [(text, len(said))]


def test_labels_keep_apart():
    found = collapse_sentences([("a.0", "x"), ("a.1", "x"), ("a.2", "y")])
    assert [(s.text, s.label) for s in found] == [("a.{0,1}", "x"), ("a.2", "y")]


def test_a_stage_map_is_told_by_stages():
    stages = ["2.0", "2.1", "3.0", "3.1", "4.0", "4.1", "4.2"]
    found = collapse_sentences((f"_blocks.{n} -> features.{stage}", None) for n, stage in enumerate(stages, 1))
    assert [s.text for s in found] == [
        "_blocks.{1,2} -> features.2.{0,1}",
        "_blocks.{3,4} -> features.3.{0,1}",
        "_blocks.{5-7} -> features.4.{0-2}",
    ]


def test_the_same_said_twice_counts_twice():
    assert collapse_sentences([("a.0", None), ("a.0", None)])[0].count == 2


pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), unique=True, min_size=1)
templates = st.sampled_from(
    [
        "a.{x}.{y} -> b.{x}.{y}",
        "a.{x}.{y} -> b.{y}.{x}",
        "a.{x}.{y} -> b.{x1}",
        "a.{x} -> b.{y}.{z}",
        "{z}.{x} {y}",
        "{x}, {y}",
        "{x}.{x}\n{y}",
    ]
)


@given(pairs, templates)
def test_sentences_stand_for_exactly_what_was_said(vectors, template):
    said = [template.format(x=x, y=y, z=z, x1=x + 10) for x, y, z in vectors]
    found = collapse_sentences((one, None) for one in dict.fromkeys(said))
    read = [one for sentence in found for one in expand(sentence.text)]
    assert sorted(read) == sorted(set(said))
    assert [len(expand(s.text)) for s in found] == [s.count for s in found]
