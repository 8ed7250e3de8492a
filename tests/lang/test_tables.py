"""The parser's tables that are kept beside the grammar."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import lark
import pytest

from surgery.lang import parse_rules, tables
from surgery.resources import resource
from surgery.text import Text

WORDS = [
    "a",
    ".",
    "*",
    "**",
    "{i}",
    "{i:int}",
    "(a|b)",
    "[C]",
    " | ",
    " except ",
    " if ",
    "ndim",
    " == ",
    "1",
    " -> ",
    " via ",
    "f(1, x=2)",
    "$x",
]


def test_the_tables_are_fresh() -> None:
    kept = json.loads((resource("grammars") / "tables.json").read_text(encoding="utf-8"))
    assert kept["digest"] == tables._digest(), "`make tables` writes them"


def test_the_kept_tables_parse_as_new_ones_do() -> None:
    kept, new, draw = tables.parser(), tables._build(), random.Random(1)
    parsed = 0
    for _ in range(1_500):
        text = "".join(draw.choices(WORDS, k=draw.randint(1, 9)))
        start = draw.choice(["lone_selector", "key_rule", "layer_rule"])
        trees = [_tree(parser, text, start) for parser in (kept, new)]
        assert trees[0] == trees[1], text
        parsed += trees[0] is not None
    assert parsed > 100


def _tree(parser: lark.Lark, text: str, start: str) -> object:
    try:
        return parser.parse(text, start=start)
    except lark.exceptions.UnexpectedInput:
        return None


@pytest.mark.parametrize("content", [None, "other", "fresh"])
def test_a_parser_without_fitting_tables_builds_them(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = str(parse_rules(Text.plain("a.{i:int} -> b.{i + 1}"), "key")[0])
    for file in resource("grammars").glob("*.lark"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    if content:
        kept = tables.build_tables()
        digest = tables._digest()
        (tmp_path / "tables.json").write_text(kept if content == "fresh" else kept.replace(digest, "0" * 64))
    built = []
    build = tables._build
    monkeypatch.setattr(tables, "resource", lambda kind: tmp_path)
    monkeypatch.setattr(tables, "_build", lambda: built.append(1) or build())
    tables.parser.cache_clear()
    try:
        assert str(parse_rules(Text.plain("a.{i:int} -> b.{i + 1}"), "key")[0]) == expected
    finally:
        tables.parser.cache_clear()
    assert len(built) == (content != "fresh")


def test_the_language_needs_neither_torch_nor_numpy() -> None:
    script = "import surgery.lang, sys; print(sorted({'torch', 'numpy', 'yaml'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert result.stdout.strip() == "[]"
