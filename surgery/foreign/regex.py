"""Regular expressions in Python's spelling, as far as people use them on keys.

A small parser, so that what is read is known exactly: everything outside of the subset is refused by name.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TypeAlias

from surgery.foreign.remarks import Inexpressible

__all__ = [
    "AnyCharacter",
    "At",
    "Characters",
    "Choices",
    "Look",
    "Node",
    "Numbered",
    "Repeated",
    "Sequence",
    "parse_regex",
]

_DIGITS = frozenset(string.digits)
_WORD = frozenset(string.ascii_letters + string.digits + "_")
#: what a key is made of; a class that leaves out some of them is the rest
_KEY = _WORD | frozenset("-.:/@+")
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of several."""

    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class AnyCharacter:
    """``.``"""


@dataclass(frozen=True, slots=True)
class Repeated:
    """``x?``, ``x*``, ``x+``, ``x{2}``; `most` is None where there is no end to it."""

    node: Node
    least: int
    most: int | None
    lazy: bool


@dataclass(frozen=True, slots=True)
class Numbered:
    """A group that captures."""

    number: int
    node: Node


@dataclass(frozen=True, slots=True)
class Choices:
    """``a|b``"""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class At:
    """A place: `start`, `end`, or `word`, the edge of a word."""

    place: str


@dataclass(frozen=True, slots=True)
class Look:
    """What must, or must not, stand before or behind a place."""

    ahead: bool
    negative: bool
    node: Node


Node: TypeAlias = Characters | AnyCharacter | Repeated | Numbered | Choices | Sequence | At | Look


def parse_regex(pattern: str) -> tuple[Node, re.Pattern[str]]:
    """The parts of a regular expression, and what Python made of it.

    Raises:
        Inexpressible: it is none, or uses more than the subset.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Inexpressible(f"it is no regular expression: {error}") from error
    if compiled.flags != re.UNICODE:
        raise Inexpressible("it sets flags")
    parser = _Parser(pattern)
    node = parser.choices()
    assert parser.at == len(pattern), "the pattern compiles"
    return node, compiled


class _Parser:
    """Reads a pattern that compiles, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 0
        self.depth = 0

    def choices(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Inexpressible("its groups are nested too deep")
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        self.depth -= 1
        return options[0] if len(options) == 1 else Choices(tuple(options))

    def sequence(self) -> Node:
        nodes: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            nodes.append(self.repeated(self.atom()))
        return nodes[0] if len(nodes) == 1 else Sequence(tuple(nodes))

    def take(self, word: str) -> bool:
        found = self.text.startswith(word, self.at)
        self.at += len(word) * found
        return found

    def repeated(self, node: Node) -> Node:
        bounds = re.compile(r"\{(\d+)\}|\{(\d*),(\d*)\}|[*+?]").match(self.text, self.at)
        if bounds is None or bounds[0] == "{,}":
            return node
        self.at = bounds.end()
        if self.take("+"):
            raise Inexpressible("a possessive repeat")
        lazy = self.take("?")
        exact, least, most = bounds.groups()
        if exact is not None:
            return Repeated(node, int(exact), int(exact), lazy)
        if bounds[0] in ("*", "+", "?"):
            return Repeated(node, int(bounds[0] == "+"), 1 if bounds[0] == "?" else None, lazy)
        return Repeated(node, int(least or 0), int(most) if most else None, lazy)

    def atom(self) -> Node:
        char = self.text[self.at]
        self.at += 1
        match char:
            case "(":
                return self.group()
            case "[":
                return Characters(self.characters())
            case ".":
                return AnyCharacter()
            case "^":
                return At("start")
            case "$":
                return At("end")
            case "\\":
                return self.escape()
        return Characters(frozenset(char))

    def escape(self) -> Node:
        char = self.text[self.at]
        self.at += 1
        if char in "AZb":
            return At({"A": "start", "Z": "end", "b": "word"}[char])
        if char in _DIGITS - {"0"}:
            raise Inexpressible("a group that is referred to inside of the pattern")
        return Characters(self.escaped(char))

    def escaped(self, char: str) -> frozenset[str]:
        """The characters that a backslash and `char` stand for."""
        match char:
            case "d":
                return _DIGITS
            case "w":
                return _WORD
            case "D" | "W":
                return _KEY - self.escaped(char.lower())
            case "x" | "u":
                digits = 2 if char == "x" else 4
                self.at += digits
                return frozenset(chr(int(self.text[self.at - digits : self.at], 16)))
        if char in _CONTROL:
            return frozenset(_CONTROL[char])
        if char.isalnum():
            raise Inexpressible(f"`\\{char}`")
        return frozenset(char)

    def characters(self) -> frozenset[str]:
        """The characters between square brackets."""
        negated = self.take("^")
        found: set[str] = set()
        first = True
        while first or self.text[self.at] != "]":
            first = False
            one = self.member()
            if len(one) == 1 and self.text[self.at] == "-" and self.text[self.at + 1] != "]":
                self.at += 1
                low, high = ord(next(iter(one))), ord(next(iter(self.member())))
                if high - low > 1000:
                    raise Inexpressible("a class of very many characters")
                one = frozenset(map(chr, range(low, high + 1)))
            found |= one
        self.at += 1
        return _KEY - found if negated else frozenset(found)

    def member(self) -> frozenset[str]:
        char = self.text[self.at]
        self.at += 1
        if char != "\\":
            return frozenset(char)
        char = self.text[self.at]
        self.at += 1
        return frozenset("\b") if char == "b" else self.escaped(char)

    def group(self) -> Node:
        if not self.take("?"):
            return self.numbered()
        looks = {"=": (True, False), "!": (True, True), "<=": (False, False), "<!": (False, True)}
        for word, (ahead, negative) in looks.items():
            if self.take(word):
                node = self.choices()
                self.at += 1
                return Look(ahead, negative, node)
        if self.take(":"):
            node = self.choices()
            self.at += 1
            return node
        if self.take("P<"):
            self.at = self.text.index(">", self.at) + 1
            return self.numbered()
        raise Inexpressible(f"`(?{self.text[self.at : self.at + 1]}…)`")

    def numbered(self) -> Node:
        self.groups += 1
        number = self.groups
        node = self.choices()
        self.at += 1
        return Numbered(number, node)
