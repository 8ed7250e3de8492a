"""A path, compiled: which part of a key it matches, and what its captures, stars and groups took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from surgery.lang.path import Alternative, Capture, Deep, Group, Literal, Part, Path, Segment
from surgery.lang.segment import SegmentPattern

__all__ = ["Chain", "Element", "Match", "Pattern", "TypeTest"]

#: Whether the module at a path (its segments) is of one of the classes named.
TypeTest: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], bool]


@dataclass(slots=True)
class Match:
    """What a pattern took from a key.

    Attributes:
        captures: name -> text; the text of a ``**`` capture is dotted, and empty where it took nothing.
        stars: what each ``*`` and ``**`` took, in order.
        groups: which alternative each unnamed group took, in order.
        choices: name -> which alternative a capture of alternatives took.
        rest: the segments below what was matched.
    """

    captures: dict[str, str]
    stars: tuple[str, ...]
    groups: tuple[int, ...]
    choices: dict[str, int]
    rest: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """One way through an element: its segments in order, and the alternative that each dotted group takes."""

    segments: tuple[SegmentPattern, ...]
    chosen: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One segment of a path: `chains` are the ways through it; none where it stands for any number of segments."""

    segment: Segment
    chains: tuple[Chain, ...]

    @property
    def deep(self) -> bool:
        """Whether this is ``**`` or ``{name:**}``."""
        return not self.chains


_Values: TypeAlias = list[tuple[object, str | int]]


class Pattern:
    """A compiled path.

    >>> pattern = Pattern.of_text("layers.{i:int}.*")
    >>> found = pattern.match(("layers", "3", "attn", "weight"))
    >>> found.captures, found.stars, found.rest
    ({'i': '3'}, ('attn',), ('weight',))
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.elements = tuple(_element(segment) for segment in path.segments)
        fixed = all(len(e.chains) == 1 and len(e.chains[0].segments) == 1 for e in self.elements)
        #: how many segments it takes, where that is always the same
        self.length = len(self.elements) if fixed else None
        names = [capture.name for capture in path.captures()]
        self._repeats = len(names) != len(set(names))
        self.typed = any(segment.types for segment in path.segments)

    @classmethod
    def of_text(cls, text: str) -> Pattern:
        """The pattern of a path in the language."""
        from surgery.lang.parser import parse_selector
        from surgery.text import Text

        selector = parse_selector(Text.plain(text)).items[0].selector
        assert isinstance(selector, Path), text
        return cls(selector)

    def match(self, key: Sequence[str], types: TypeTest | None = None, *, exact: bool = False) -> Match | None:
        """The topmost match, every ``**`` as short as it can be; None where there is none.

        With `exact` the whole key must match; without, a leading part of it.
        """
        return next(self.matches(key, types, exact=exact), None)

    def matches(self, key: Sequence[str], types: TypeTest | None = None, *, exact: bool = False) -> Iterator[Match]:
        """Every way to match, topmost first."""
        ends = [len(key)] if exact else range(len(key) + 1)
        if self.length is not None:
            ends = [self.length] if (len(key) == self.length if exact else len(key) >= self.length) else []
        for end in ends:
            for values in self._ways(0, 0, end, key, types):
                found = self._found(values, tuple(key[end:]))
                if found is not None:
                    yield found

    def _ways(
        self, index: int, position: int, end: int, key: Sequence[str], types: TypeTest | None
    ) -> Iterator[_Values]:
        """The values of all ways in which the elements from `index` on take exactly ``key[position:end]``."""
        stack: list[tuple[int, int, _Values]] = [(index, position, [])]
        dead: set[tuple[int, int]] = set()
        while stack:
            index, position, values = stack.pop()
            if index == len(self.elements):
                if position == end:
                    yield values
                continue
            if not self._repeats and (index, position) in dead:
                continue
            following = list(self._steps(self.elements[index], position, end, key, types))
            if not following:
                dead.add((index, position))
            stack.extend((index + 1, after, values + new) for after, new in reversed(following))

    def _steps(
        self, element: Element, position: int, end: int, key: Sequence[str], types: TypeTest | None
    ) -> Iterator[tuple[int, _Values]]:
        wanted = element.segment.types
        if element.deep:
            for after in range(position, end + 1):
                if not wanted or (types is not None and types(tuple(key[:after]), wanted)):
                    yield after, [(element.segment.parts[0], ".".join(key[position:after]))]
            return
        for chain in element.chains:
            after = position + len(chain.segments)
            if after > end:
                continue
            values = _chain_values(element, chain, key, position)
            if values is not None and (not wanted or (types is not None and types(tuple(key[:after]), wanted))):
                yield after, values

    def _found(self, values: _Values, rest: tuple[str, ...]) -> Match | None:
        """A match from the values of its parts; None where a repeated capture took two texts."""
        found = Match({}, (), (), {}, rest)
        stars, groups = [], []
        for part, value in values:
            if isinstance(part, Capture):
                if isinstance(value, int):
                    found.choices[part.name] = value
                    value = ".".join(part.alternatives[value])
                if found.captures.setdefault(part.name, value) != value:
                    return None
            elif isinstance(part, Group):
                groups.append(int(value))
            else:
                stars.append(str(value))
        found.stars, found.groups = tuple(stars), tuple(groups)
        return found


def _chain_values(element: Element, chain: Chain, key: Sequence[str], position: int) -> _Values | None:
    """What the parts of an element took along one chain, in the order of the parts."""
    taken: dict[int, str | int] = {}
    for offset, segment in enumerate(chain.segments):
        found = segment.match(key[position + offset])
        if found is None:
            return None
        open_parts = [part for part in segment.parts if not isinstance(part, Literal)]
        for part, text in zip(open_parts, found, strict=True):
            choice: str | int = text
            if isinstance(part, Group) or (isinstance(part, Capture) and part.kind == "one_of"):
                choice = part.alternatives.index((text,))
            taken[id(part)] = choice
    chosen = dict(chain.chosen)
    values: _Values = []
    for index, part in enumerate(element.segment.parts):
        if index in chosen:
            if not isinstance(part, Literal):
                values.append((part, chosen[index]))
        elif id(part) in taken:
            values.append((part, taken[id(part)]))
    return values


def _element(segment: Segment) -> Element:
    if segment.deep:
        assert isinstance(segment.parts[0], Deep | Capture)
        return Element(segment, ())
    texts = enumerate(map(_alternatives, segment.parts))
    dotted = [(index, alternatives) for index, alternatives in texts if any(len(a) > 1 for a in alternatives)]
    if not dotted:
        return Element(segment, (Chain((SegmentPattern.of(segment.parts),)),))
    chains = []
    for choice in product(*(range(len(alternatives)) for _, alternatives in dotted)):
        chosen = {index: alternatives[c] for (index, alternatives), c in zip(dotted, choice, strict=True)}
        chosen_indices = tuple((index, c) for (index, _), c in zip(dotted, choice, strict=True))
        chains.append(Chain(_expand(segment, chosen), chosen_indices))
    return Element(segment, tuple(chains))


def _alternatives(part: Part) -> tuple[Alternative, ...]:
    """The texts that a part may stand for, where they are listed; a quoted literal may hold dots as well."""
    if isinstance(part, Literal):
        return (tuple(part.text.split(".")),)
    return getattr(part, "alternatives", ())


def _expand(segment: Segment, chosen: dict[int, Alternative]) -> tuple[SegmentPattern, ...]:
    """The segments of one choice of alternatives: their dots separate segments."""
    rows: list[list] = [[]]
    for index, part in enumerate(segment.parts):
        if index not in chosen:
            rows[-1].append(part)
            continue
        first, *more = chosen[index]
        rows[-1].append(Literal(first))
        rows.extend([Literal(text)] for text in more)
    return tuple(SegmentPattern.of(tuple(row)) for row in rows)
