"""What a scalar without quotes stands for, by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).

Unlike YAML 1.1, ``on``, ``no``, ``12:30`` and ``1_000`` are strings, ``1e-3`` is a number, and octal is ``0o17``.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

__all__ = ["Value", "looks_like_a_string", "resolve"]

Value: TypeAlias = str | int | float | bool | None

_WORDS: dict[str, Value] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS |= {f".{word}": math.nan for word in ("nan", "NaN", "NAN")}
_WORDS |= {
    f"{sign}.{word}": value
    for word in ("inf", "Inf", "INF")
    for sign, value in (("", math.inf), ("+", math.inf), ("-", -math.inf))
}
_NUMBER_START = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_INTEGER = 40


def resolve(text: str) -> Value:
    """The value of a plain scalar.

    Raises:
        OverflowError: a number beyond 64 bits.

    >>> [resolve(text) for text in ("on", "12:30", "1e-3", "0o17", "~", "3")]
    ['on', '12:30', 0.001, 15, None, 3]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise OverflowError(text)
        return number
    return text


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise OverflowError(text)
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text, base)
    if not -(2**63) <= number < 2**64:
        raise OverflowError(text)
    return number


def looks_like_a_string(text: str) -> bool:
    """Whether `text` without quotes is read as the string that it is."""
    try:
        return isinstance(resolve(text), str)
    except OverflowError:
        return False
