"""What a match is replaced with: text, and groups of the pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from surgery.foreign.branches import OneOf, Text, Wild
from surgery.foreign.remarks import Inexpressible

__all__ = ["Group", "Piece", "parse_replacement"]

_WORDS = re.compile(r"\\(?:g<(\w+)>|([1-9]\d?)|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Group:
    """What the group of this number took."""

    number: int


#: a choice, or an index, that the match has not is one that an operation makes: several tensors of one
Piece: TypeAlias = Text | Group | OneOf | Wild


def parse_replacement(text: str, names: Mapping[str, int], groups: int) -> tuple[Piece, ...]:
    r"""The pieces of a replacement as `re.sub` takes it; `names` gives the numbers of named groups,
    and `groups` how many there are.

    A backslash before a dot stays, as it does in `re.sub`.

    Raises:
        Inexpressible: `re.sub` would refuse it.

    >>> parse_replacement(r"\1.norm", {}, 1)
    (Group(number=1), Text(text='.norm'))
    """
    found: list[Piece] = []
    literal, last = "", 0
    for match in _WORDS.finditer(text):
        literal += text[last : match.start()]
        last = match.end()
        name, number, char = match.groups()
        if char is None:
            if literal:
                found.append(Text(literal))
                literal = ""
            found.append(Group(_number(name or number, names, groups)))
        elif char in _CONTROL:
            literal += _CONTROL[char]
        elif char.isalnum():
            raise Inexpressible(f"its replacement holds `\\{char}`")
        else:
            literal += f"\\{char}"
    literal += text[last:]
    return (*found, Text(literal)) if literal else tuple(found)


def _number(name: str, names: Mapping[str, int], groups: int) -> int:
    number = names.get(name, 0) if not name.isdigit() else int(name)
    if not 0 < number <= groups:
        raise Inexpressible(f"its replacement names a group `{name}` that the pattern has not")
    return number
