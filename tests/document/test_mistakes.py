"""What is said of text that is not the YAML of recipes. The golden files hold each text and its whole message."""

from __future__ import annotations

import re
import time

import pytest
import yaml

from surgery.diagnostics import SurgeryError
from surgery.document.characters import decode
from surgery.document.nodes import plain
from surgery.document.parse import parse_document

QUOTES = [
    "- rename: **.a -> b",
    "- rename: *.weight -> b   # all of them",
    "- filter: {drop: *bias}",
    "- freeze: *",
    "- rename: {p:**}.x -> {p}.y",
    "- rename: [a, b] -> c",
    "- {rule: Linear(2048, 10)}",
    "- replace_layer: {rule: fc -> Linear(2048, 10), count: 1}",
    "- replace_layer: [{rule: fc -> Linear(2048, 10), count: 1}]  # one",
    "- rename: {rule: a -> b, c -> d}",
    "- convert: {rule: concat([a, b]) -> c}",
    "- cast: {rule: **.norm* -> float32, count: 3}",
    "description: a: b: c",
    "- note: see here: it works",
    "- %x -> y",
    "- @x -> y",
    "- `x` -> y",
    "- !x -> y",
    "- &x.y -> z",
    '- "odd name".weight -> x',
    "- 'a' -> b",
    "- rename: |a -> b",
    "source: {checkpoint: C: \\weights}",
    "steps:\n  - rename: module.** -> **\n  - freeze: ** except fc | conv1\n",
    "help: it's: quoted",
    '- convert: "q -> q via rearrange("a b -> b a")"',
]

SYNTAX = [
    'a: "open\nb: c',
    "a: 'open",
    "a: [1, 2\nb: 3",
    "a: {b: 1, c: 2\nd: 3",
    "a: [1]]",
    "a: {b: 1}}",
    "a:\n\t- b",
    "a: | text\nb: c",
    'a: "C:\\models"',
    "a: 1\n  b: 2",
    "a\nb: 1",
    "a:\n  - b\n - c",
    "- a: 1\n  - b: 2",
    "a: - b",
    "a: b\n- c",
    "a: 1\n---\nb: 2",
    "a: 1\na: 2",
    "a: {b: 1, 'b': 2}",
    "1: a\ntrue: b\nnull: c\n1.5: d",
    "~: a",
    ": a",
    "? [a]\n: b",
    "{a: b}: c",
    "<<: {a: b}",
    "a: *b",
    "a: &b [*b]",
    "a: !!str 1",
    "a: b\0c",
    "a: \x1b[31m",
    "a: b\u2028c",
    "a: \ufeff",
    'a: "\\0"',
    'a: "\\ud800"',
    "a: 99999999999999999999",
    "a: 1e999",
    "%YAML 3.0\n---\na: 1",
    "a: b\n...\nc",
    "&a &b c: d",
]


def message(content: str) -> str:
    with pytest.raises(SurgeryError) as caught:
        parse_document(content, "recipe.yaml")
    return str(caught.value)


def screen(contents: list[str]) -> str:
    shown = (
        f"{content.encode('unicode_escape').decode() if not content.isprintable() else content}" for content in contents
    )
    return "\n\n".join(f">>> {head}\n{message(content)}" for head, content in zip(shown, contents, strict=True))


def test_missing_quotes(golden):
    golden("document/quotes", screen(QUOTES))


def test_syntax(golden):
    golden("document/syntax", screen(SYNTAX))


@pytest.mark.parametrize("content", QUOTES)
def test_the_line_that_is_shown_can_be_read(content):
    notes = re.findall(r"^     = with quotes: (.*)$", message(content), re.MULTILINE)
    assert len(notes) == 1
    plain(parse_document(notes[0], "recipe.yaml"))


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@pytest.mark.parametrize("content", [*QUOTES, *SYNTAX])
def test_both_parsers_find_a_mistake(content, loader):
    with pytest.raises(SurgeryError):
        parse_document(content, "recipe.yaml", loader=loader)


def test_bytes_that_are_no_text(golden):
    shown = []
    for content in (b"name: caf\xe9\n", "name: x\n".encode("utf-16"), b"a: 1\nb: \xc3\x28 rest\n", b"\xef\xbb\xbf\xff"):
        with pytest.raises(SurgeryError) as caught:
            decode(content, "recipe.yaml")
        shown.append(str(caught.value))
    golden("document/bytes", "\n\n".join(shown))
    assert decode(b"\xef\xbb\xbfname: x", "recipe.yaml") == "name: x"


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "".join(f"{' ' * depth}a:\n" for depth in range(1500)),
        "x" * 1_100_000,
        "- x\n" * 60_000,
        "a: &a [x, x]\n" + "".join(f"a{i}: &b{i} [*a, *a]\n" for i in range(200)),
        "".join(f"k{i}: &k{i} [" + ", ".join([f"*k{i - 1}"] * 9 if i else ["x"] * 9) + "]\n" for i in range(9)),
    ],
    ids=["lists", "mappings", "hyphens", "blocks", "long", "many", "aliases", "bomb"],
)
def test_absurd_sizes_are_refused_quickly(content):
    start = time.process_time()
    assert "error[too-large]" in message(content)[:200]
    assert time.process_time() - start < 2


def test_a_few_aliases_are_read():
    node = parse_document("a: &rules [x, y]\nb: *rules\nc: &one 1\nd: *one", "recipe.yaml")
    assert plain(node) == {"a": ["x", "y"], "b": ["x", "y"], "c": 1, "d": 1}


def test_an_empty_document_is_nothing():
    for content in ("", "\n", "# only a comment\n", "---\n"):
        assert plain(parse_document(content, "recipe.yaml")) is None


def test_all_mistakes_but_syntax_are_told_together():
    codes = [
        line
        for line in message("a: 1\na: 2\n3: b\n<<: c\nd: !t e\nf: 99999999999999999999").splitlines()
        if "error[" in line
    ]
    assert len(codes) == 5
