"""A regular expression as branches without choices: each a row of texts, wildcards and marks.

``(?:a|b)`` and ``x?`` become several branches, in the order in which Python tries them.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias

from surgery.foreign.regex import AnyCharacter, At, Characters, Choices, Look, Node, Numbered, Repeated, Sequence
from surgery.foreign.remarks import Inexpressible, Reading

__all__ = ["Branch", "Brancher", "Edge", "Item", "Mark", "Not", "OneOf", "Text", "Wild"]

_MOST = 64
_LETTERS = frozenset(string.ascii_lowercase)
#: a class of so many characters is listed one by one
_FEW = 12


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text, dots included."""

    text: str


@dataclass(frozen=True, slots=True)
class Wild:
    """An open part: digits, the text of one segment or a part of it (`name`), or anything (`rest`)."""

    kind: Literal["digits", "name", "rest"]
    number: int
    may_be_empty: bool = False
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several texts, none of which begins another."""

    options: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the group `number` begins or ends."""

    number: int
    opens: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A place: `start`, `end` or `word`."""

    place: str


@dataclass(frozen=True, slots=True)
class Not:
    """What must not stand here: behind the place where `ahead`, else before it."""

    ahead: bool
    branches: tuple[Branch, ...]


Item: TypeAlias = Text | Wild | OneOf | Mark | Edge | Not
Branch: TypeAlias = tuple[Item, ...]


class Brancher:
    """Makes branches, and keeps how things were read.

    Attributes:
        readings: how parts were read that have no exact form.
    """

    def __init__(self) -> None:
        self.readings: set[Reading] = set()
        self._numbers = count()

    def branches(self, node: Node) -> list[Branch]:
        """The branches of a pattern.

        Raises:
            Inexpressible: a part of it has no form in our language.
        """
        found = self._of(node)
        if len(found) > _MOST:
            raise Inexpressible(f"it has more than {_MOST} branches")
        return [_merged(branch) for branch in found]

    def number(self) -> int:
        """A number that no other wildcard of this pattern has."""
        return next(self._numbers)

    def _of(self, node: Node) -> list[Branch]:
        match node:
            case Characters(options=options):
                return [self._one_of(options)]
            case AnyCharacter():
                self.readings.add(Reading.DOT)
                return [(Text("."),)]
            case At(place=place):
                return [(Edge(place),)]
            case Numbered(number=number, node=inner):
                return [(Mark(number, True), *branch, Mark(number, False)) for branch in self._of(inner)]
            case Sequence(nodes=nodes):
                return self._product(nodes)
            case Choices(options=options):
                return self._choices(options)
            case Repeated():
                return self._repeated(node)
            case Look():
                return self._look(node)

    def _one_of(self, options: frozenset[str]) -> Branch:
        if len(options) == 1:
            return (Text(next(iter(options))),)
        if len(options) > _FEW or "." in options:
            raise Inexpressible("a class that stands for one of many characters")
        return (OneOf(tuple(sorted(options)), self.number()),)

    def _product(self, nodes: tuple[Node, ...]) -> list[Branch]:
        found: list[Branch] = [()]
        for node in nodes:
            found = [(*before, *after) for before in found for after in self._of(node)]
            if len(found) > _MOST:
                raise Inexpressible(f"it has more than {_MOST} branches")
        return found

    def _choices(self, options: tuple[Node, ...]) -> list[Branch]:
        found = [_merged(branch) for option in options for branch in self._of(option)]
        texts = tuple(branch[0].text for branch in found if len(branch) == 1 and isinstance(branch[0], Text))
        clash = any(a is not b and b.startswith(a) for a in texts for b in texts)
        # text with a dot at an edge is not whole segments, as a group would have it
        edged = any(text.startswith(".") or text.endswith(".") for text in texts)
        if len(texts) == len(found) and not clash and not edged:
            return [(OneOf(texts, self.number()),)]
        return list(found)

    def _repeated(self, node: Repeated) -> list[Branch]:
        inner = node.node
        if node.most == 1 and node.least == 0:
            found = [*self._of(inner), ()]
            return found[::-1] if node.lazy else found
        if node.most == node.least:
            if node.least > _FEW:
                raise Inexpressible("a part that stands very many times")
            return self._product((inner,) * node.least)
        if node.most is not None or node.least > 1:
            raise Inexpressible("a part that stands a varying number of times")
        if isinstance(inner, AnyCharacter):
            return [(Wild("rest", self.number(), node.least == 0, node.lazy),)]
        if not isinstance(inner, Characters):
            raise Inexpressible("a group that is repeated")
        wild = self._wild(inner.options)
        if node.least:
            return [(wild,)]
        return [(), (wild,)] if node.lazy else [(wild,), ()]

    def _wild(self, options: frozenset[str]) -> Wild:
        if options == frozenset(string.digits):
            return Wild("digits", self.number())
        if "." not in options and len(options) > len(string.ascii_letters) + 10 + 4:
            return Wild("name", self.number())  # everything but a dot
        if "." not in options and options >= _LETTERS:
            self.readings.add(Reading.WORD)
            return Wild("name", self.number())
        raise Inexpressible("a character, or a class of them, that is repeated")

    def _look(self, node: Look) -> list[Branch]:
        if node.negative and isinstance(node.node, Characters) and len(node.node.options) >= len(_LETTERS):
            return [(Edge("word"),)]  # `(?!\w)`, `(?<!\w)`
        inner = tuple(_merged(branch) for branch in self._of(node.node))
        if node.negative:
            return [(Not(node.ahead, inner),)]
        # what must stand there is matched and put back: a group below zero says on which side
        mark = 0 if node.ahead else -1
        return [(Mark(mark, True), *branch, Mark(mark, False)) for branch in inner]


def _merged(branch: Branch) -> Branch:
    """The same branch, texts that stand side by side joined."""
    found: list[Item] = []
    for item in branch:
        if isinstance(item, Text) and found and isinstance(found[-1], Text):
            found[-1] = Text(found[-1].text + item.text)
        else:
            found.append(item)
    return tuple(found)
