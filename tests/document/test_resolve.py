"""Plain scalars by the core schema of YAML 1.2."""

from __future__ import annotations

import math

import pytest

from surgery.diagnostics import SurgeryError
from surgery.document.nodes import plain
from surgery.document.parse import parse_document


def value(text: str):
    return plain(parse_document(f"- {text}", "recipe.yaml"))[0]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "on",
            "off",
            "yes",
            "no",
            "y",
            "n",
            "12:30",
            "1_000",
            "0b1",
            "1e",
            "0xg",
            "0o8",
            "+0x1",
            "2024-01-01",
            "nUll",
        ),
        *("tRue", ".NaN-", "+", "1 2", "--1", ".", "<", "=", "1.2.3", "0o", "e5", "infinity", "nan", "-x"),
    ],
)
def test_texts(text):
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("0o17", 15),
        ("0x1f", 31),
        ("-12", -12),
        ("+3", 3),
        ("007", 7),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        (".INF", math.inf),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_numbers(text, number):
    found = value(text)
    assert found == number
    assert type(found) is type(number)


def test_words():
    assert [value(t) for t in ("null", "~", "", "Null", "NULL")] == [None] * 5
    assert [value(t) for t in ("true", "True", "TRUE", "false", "False", "FALSE")] == [True] * 3 + [False] * 3
    assert math.isnan(value(".nan"))


@pytest.mark.parametrize("text", ["18446744073709551616", "-9223372036854775809", "9" * 5000, "1e999", "0x" + "f" * 17])
def test_numbers_beyond_64_bits(text):
    with pytest.raises(SurgeryError) as caught:
        value(text)
    assert [d.code for d in caught.value.diagnostics] == ["too-large"]


@pytest.mark.parametrize("text", ["1", "true", "null", "~", "1e-3", ".nan"])
def test_quoted_is_text(text):
    assert value(f'"{text}"') == text
    assert value(f"'{text}'") == text
