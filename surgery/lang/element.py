"""One segment of a path, compiled: the ways in which it takes segments of a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from surgery.lang.match import Taken
from surgery.lang.path import Alternative, Capture, Group, Literal, Part, Segment
from surgery.lang.segment import SegmentPattern

__all__ = ["Chain", "Element"]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """One way through an element: its segments in order, and the alternative that each dotted group takes.

    `chosen` is by number of part: a group with dots in it takes several segments of the key, so each choice of its
    alternatives is a chain of its own.
    """

    parts: tuple[Part, ...]
    segments: tuple[SegmentPattern, ...]
    chosen: tuple[tuple[int, int], ...] = ()

    def fits(self, key: Sequence[str], position: int) -> bool:
        """Whether the segments of `key` from `position` on match."""
        return all(
            segment.match(text) is not None
            for segment, text in zip(self.segments, key[position : position + len(self.segments)], strict=True)
        )

    def taken(self, key: Sequence[str], position: int) -> tuple[Taken, ...]:
        """What the open parts took, where the chain fits."""
        found = [segment.match(key[position + offset]) for offset, segment in enumerate(self.segments)]
        return self._paired(tuple(text for texts in found for text in texts or ()))

    def ways(self, key: Sequence[str], position: int) -> Iterator[tuple[Taken, ...]]:
        """Every way in which the open parts may share the text, what is to the left as short as it can be."""
        each = [segment.ways(key[position + offset]) for offset, segment in enumerate(self.segments)]
        for found in product(*each) if len(each) > 1 else ((one,) for one in each[0]):
            yield self._paired(tuple(text for texts in found for text in texts))

    def _paired(self, texts: tuple[str, ...]) -> tuple[Taken, ...]:
        """The open parts in order, each with what it took."""
        chosen, waiting = dict(self.chosen), iter(texts)
        pairs: list[Taken] = []
        for index, part in enumerate(self.parts):
            if isinstance(part, Literal):
                continue
            if index in chosen:
                pairs.append((part, chosen[index]))  # type: ignore[arg-type]
                continue
            text = next(waiting)
            listed = isinstance(part, Group) or (isinstance(part, Capture) and part.kind == "one_of")
            pairs.append((part, part.alternatives.index((text,)) if listed else text))  # type: ignore[arg-type, union-attr]
        return tuple(pairs)


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One segment of a path: `chains` are the ways through it; none where it stands for any number of segments."""

    segment: Segment
    chains: tuple[Chain, ...]

    @classmethod
    def of(cls, segment: Segment) -> Element:
        """The compiled form of `segment`."""
        if segment.deep:
            return cls(segment, ())
        listed = enumerate(map(_alternatives, segment.parts))
        dotted = [(index, alternatives) for index, alternatives in listed if any(len(a) > 1 for a in alternatives)]
        chains = []
        for choice in product(*(range(len(alternatives)) for _, alternatives in dotted)):
            picked = [(index, alternatives, c) for (index, alternatives), c in zip(dotted, choice, strict=True)]
            segments = _expanded(segment, {index: alternatives[c] for index, alternatives, c in picked})
            chains.append(Chain(segment.parts, segments, tuple((index, c) for index, _, c in picked)))
        # a `**` behind a group takes as little as it can: so the deepest alternatives are tried first
        return cls(segment, tuple(sorted(chains, key=lambda chain: -len(chain.segments))))

    @property
    def deep(self) -> bool:
        """Whether this is ``**`` or ``{name:**}``."""
        return not self.chains


def _alternatives(part: Part) -> tuple[Alternative, ...]:
    """The texts that a part may stand for, where they are listed; a quoted literal may hold dots as well."""
    if isinstance(part, Literal):
        return (tuple(part.text.split(".")),)
    return getattr(part, "alternatives", ())


def _expanded(segment: Segment, chosen: dict[int, Alternative]) -> tuple[SegmentPattern, ...]:
    """The segments of one choice of alternatives: their dots separate segments."""
    rows: list[list[Part]] = [[]]
    for index, part in enumerate(segment.parts):
        if index not in chosen:
            rows[-1].append(part)
            continue
        first, *more = chosen[index]
        rows[-1].append(Literal(first))
        rows.extend([Literal(text)] for text in more)
    return tuple(SegmentPattern.of(tuple(row)) for row in rows)
