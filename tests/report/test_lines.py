import io

import pytest

from surgery import diagnostics
from surgery.report.lines import line, piece, plain, width
from surgery.report.table import table
from surgery.report.terminal import columns_of, show
from surgery.report.text import wrapped


def test_what_must_not_reach_a_terminal_is_escaped():
    assert plain([line(piece("a\x1b[31m\nb\u202e"))]) == "a\\x1b[31m\\nb\\u202e\n"


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("重み", 4), ("e\u0301", 1), ("→", 1), ("ｗ", 2)])
def test_columns(text, columns):
    assert diagnostics.columns(text) == columns


def test_wide_characters_keep_columns_straight():
    rows = table([["重み", "1"], ["weight", "22"]], "lr")
    assert plain(rows) == "重み     1\nweight  22\n"
    assert {width(row) for row in rows} == {10}


def test_a_cell_too_long_takes_a_line_of_its_own():
    rows = [["a.very.long.key.indeed.weight", "[4, 4]"], ["short", "[4]"]]
    assert (
        plain(table(rows, columns=30))
        == "a.very.long.key.indeed.weight\n                        [4, 4]\nshort                   [4]\n"
    )


def test_nothing_is_cut_off():
    key = "x" * 300
    assert key in plain(table([[key, "1"]], columns=40))


def test_files_get_plain_text():
    stream = io.StringIO()
    show([line(piece("a", "error"), " b")], stream)
    assert stream.getvalue() == "a b\n"


@pytest.mark.parametrize(("columns", "found"), [("", None), ("90", 90), ("10", 40), ("wide", None)])
def test_the_width_of_a_file_is_open_unless_columns_says_it(monkeypatch, columns, found):
    monkeypatch.setenv("COLUMNS", columns)
    assert columns_of(io.StringIO()) == found


def test_paragraphs_are_wrapped_and_indented_lines_are_not():
    text = f"{'word ' * 30}\n\n    {'x' * 80}"
    first, second, blank, code = wrapped(text, 100)
    assert width(first) <= 100
    assert plain([second]).startswith("word")
    assert blank == ()
    assert plain([code]) == f"    {'x' * 80}\n"


def test_a_word_of_absurd_length_is_shortened_on_screens():
    assert len(piece("k" * 100_000).text) == 261
    assert piece("k" * 300).text == "k" * 300
    sentence = "word " * 1000
    assert piece(sentence).text == sentence
