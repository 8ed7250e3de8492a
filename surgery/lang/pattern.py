"""A path, compiled: which part of a key it matches, and what its captures, stars and groups took.

Of several ways to match, the topmost counts. Of those, from the left: each ``**`` as short as it can be, each group
with dots as deep as it can be, and inside a segment each part as short as it can be. Finding it takes no backtracking:
sets of positions are carried forward through the elements, then those that lead nowhere are taken away from behind, and
what is left is walked once. Only a capture that stands twice needs a search, which is bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from surgery.lang.element import Chain, Element
from surgery.lang.match import Match, Taken
from surgery.lang.path import Path
from surgery.limits import exceeded, limits

__all__ = ["Pattern", "TypeTest"]

#: Whether the module at a path (its segments) is of one of the classes named.
TypeTest: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], bool]

#: for one element and each position that it may begin at: where it may end, and by which chain
_Options: TypeAlias = dict[int, list[tuple[int, Chain]]]


class Pattern:
    """A compiled path.

    >>> pattern = Pattern.of_text("layers.{i:int}.*")
    >>> found = pattern.match(("layers", "3", "attn", "weight"))
    >>> found.captures, found.stars, found.rest
    ({'i': '3'}, ('attn',), ('weight',))
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.elements = tuple(Element.of(segment) for segment in path.segments)
        names = [capture.name for capture in path.captures()]
        self.repeats = len(names) != len(set(names))
        self.typed = any(segment.types for segment in path.segments)
        last = path.segments[-1]
        #: whether it ends with a `**`, which takes the rest where the whole key must match, and nothing where not
        self.trailing = last.deep and not last.types
        fixed = self.elements[:-1] if self.trailing else self.elements
        #: how many segments it takes before that, where it is always the same number and takes no search
        self.length: int | None = None
        if not self.repeats and all(len(e.chains) == 1 and len(e.chains[0].segments) == 1 for e in fixed):
            self.length = len(fixed)
        segments = [segment for e in self.elements for chain in e.chains for segment in chain.segments]
        #: whether some key may be matched in more than one way
        self.open = self.length is None or self.trailing or any(segment.several for segment in segments)

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

        Raises:
            SurgeryError: `too-large`, where a capture that stands twice would need too many tries.
        """
        if self.length is not None and not self.typed:
            return self._match_fixed(key, exact)
        return next(self._matches(key, types, exact, all_ways=self.repeats), None)

    def matches(self, key: Sequence[str], types: TypeTest | None = None, *, exact: bool = False) -> Iterator[Match]:
        """Every way to match, that of `match` first."""
        return self._matches(key, types, exact, all_ways=True)

    def surely(self, key: Sequence[str], *, exact: bool = False) -> Match:
        """The match of a key that is known to match a pattern of fixed length."""
        assert self.length is not None
        return Match(self, key, len(key) if exact else self.length)

    def taken(self, key: Sequence[str], end: int) -> tuple[Taken, ...]:
        """What the parts of a pattern of fixed length take from the segments of `key` before `end`."""
        pairs: list[Taken] = []
        for position, element in enumerate(self.elements):
            if element.deep:
                pairs.append((element.segment.parts[0], ".".join(key[position:end])))  # type: ignore[arg-type]
            else:
                pairs.extend(element.chains[0].taken(key, position))
        return tuple(pairs)

    def _match_fixed(self, key: Sequence[str], exact: bool) -> Match | None:
        assert self.length is not None
        if len(key) < self.length or (exact and len(key) > self.length and not self.trailing):
            return None
        for element, text in zip(self.elements[: self.length], key, strict=False):
            if element.chains[0].segments[0].match(text) is None:
                return None
        return self.surely(key, exact=exact)

    def _matches(self, key: Sequence[str], types: TypeTest | None, exact: bool, *, all_ways: bool) -> Iterator[Match]:
        forward: list[list[int]] = [[0]]
        options: list[_Options] = []
        for element in self.elements:
            reached, ways = self._forward(element, forward[-1], key, types)
            if not reached:
                return
            forward.append(reached)
            options.append(ways)
        for end in forward[-1]:
            if exact and end != len(key):
                continue
            alive = self._alive(forward, options, end)
            for taken in self._walk(alive, options, key, all_ways=all_ways):
                yield Match(self, key, end, taken)

    def _forward(
        self, element: Element, begins: list[int], key: Sequence[str], types: TypeTest | None
    ) -> tuple[list[int], _Options]:
        """Where an element may end, ascending, and how, given where it may begin."""
        wanted = element.segment.types

        def suits(end: int) -> bool:
            return not wanted or (types is not None and types(tuple(key[:end]), wanted))

        if element.deep:
            return [end for end in range(begins[0], len(key) + 1) if suits(end)], {}
        ways: _Options = {}
        for begin in begins:
            for chain in element.chains:
                end = begin + len(chain.segments)
                if end <= len(key) and chain.fits(key, begin) and suits(end):
                    ways.setdefault(begin, []).append((end, chain))
        return sorted({end for found in ways.values() for end, _ in found}), ways

    def _alive(self, forward: list[list[int]], options: list[_Options], end: int) -> list[list[int]]:
        """The positions from which `end` is reached, element by element."""
        alive = [[end]]
        for element, begins, ways in zip(
            reversed(self.elements), reversed(forward[:-1]), reversed(options), strict=True
        ):
            after = alive[-1]
            if element.deep:
                alive.append([begin for begin in begins if after and begin <= after[-1]])
            else:
                ends = set(after)
                alive.append([begin for begin in begins if any(e in ends for e, _ in ways.get(begin, ()))])
        return alive[::-1]

    def _walk(
        self, alive: list[list[int]], options: list[_Options], key: Sequence[str], *, all_ways: bool
    ) -> Iterator[tuple[Taken, ...]]:
        """What the parts take on every way through the positions that are alive, the preferred way first."""
        onward = [self._onward(0, 0, alive[1], options[0], key, all_ways)]
        before: list[tuple[Taken, ...]] = [()]
        tries, most = 0, limits().tries
        while onward:
            step = next(onward[-1], None)
            if step is None:
                onward.pop()
                before.pop()
                continue
            tries += 1
            if tries > most and self.repeats:
                raise exceeded("tries", f"`{self.path}` repeats a capture, and this key takes too many tries")
            position, more = step
            taken, index = (*before[-1], *more), len(onward)
            if self.repeats and not _agree(taken):
                continue
            if index == len(self.elements):
                yield taken
                continue
            onward.append(self._onward(index, position, alive[index + 1], options[index], key, all_ways))
            before.append(taken)

    def _onward(
        self, index: int, position: int, alive: list[int], options: _Options, key: Sequence[str], all_ways: bool
    ) -> Iterator[tuple[int, tuple[Taken, ...]]]:
        """The ways through one element: where it ends, and what it took."""
        element = self.elements[index]
        if element.deep:
            part = element.segment.parts[0]
            for after in alive[bisect_left(alive, position) :]:
                yield after, ((part, ".".join(key[position:after])),)  # type: ignore[misc]
            return
        ends = set(alive)
        for after, chain in options.get(position, ()):
            if after in ends:
                ways = chain.ways(key, position) if all_ways else [chain.taken(key, position)]
                for taken in ways:
                    yield after, taken


def _agree(taken: tuple[Taken, ...]) -> bool:
    """Whether captures of one name took one text."""
    known: dict[str, str | int] = {}
    return all(known.setdefault(part.name, value) == value for part, value in taken if hasattr(part, "name"))
