"""How errors show the words that they are about."""

from __future__ import annotations

from surgery.diagnostics import Diagnostic, Span


def shown(line: str, word: str) -> list[str]:
    span = Span("r.yaml", 3, line.index(word) + 1, len(word), line)
    return str(Diagnostic("rule-syntax", "wrong", span)).split("\n")[1:]


def test_the_caret_stands_under_the_words() -> None:
    assert shown("\t- set: x", "set") == ["   3 |  - set: x", "     |    ^^^"]


def test_wide_and_combining_characters_take_the_columns_they_take() -> None:
    assert shown("編碼器.x", "x") == ["   3 | 編碼器.x", "     |        ^"]
    assert shown("e\u0301.x", "x") == ["   3 | e\u0301.x", "     |   ^"]


def test_control_characters_are_escaped_and_counted_as_escapes() -> None:
    assert shown("\x1b.x", "x") == ["   3 | \\x1b.x", "     |      ^"]


def test_a_long_line_is_cut_on_both_sides() -> None:
    excerpt, caret = shown("a" * 1000 + "WORD" + "b" * 1000, "WORD")
    assert excerpt.startswith("   3 | …a")
    assert excerpt.endswith("b…")
    assert len(excerpt) < 220
    assert excerpt.index("WORD") == caret.index("^")
    assert caret.count("^") == 4


def test_words_that_are_longer_than_what_is_shown_are_marked_as_far_as_that() -> None:
    excerpt, caret = shown("x: " + "w" * 1000, "w" * 1000)
    assert len(excerpt) == len(caret) + 1
