"""A branch of a pattern apart: what it matches, where it has to stand, and what it rules out."""

from __future__ import annotations

from dataclasses import dataclass, field

from surgery.foreign.branches import Branch, Edge, Item, Not, OneOf, Text, Wild
from surgery.foreign.remarks import Inexpressible

__all__ = ["Shape", "shape_of"]


@dataclass(slots=True)
class Shape:
    """A branch, its places and what it rules out taken from its items."""

    items: list[Item] = field(default_factory=list)
    start: bool = False
    end: bool = False
    first_word: bool = False
    last_word: bool = False
    excluded: list[Branch] = field(default_factory=list)


def shape_of(branch: Branch) -> Shape:
    """The shape of a branch.

    Raises:
        Inexpressible: it asks for a place, or looks aside, in the midst of what it matches.
    """
    shape = Shape()
    consuming = [index for index, item in enumerate(branch) if isinstance(item, Text | Wild | OneOf)]
    first, last = (consuming[0], consuming[-1]) if consuming else (len(branch), -1)
    for index, item in enumerate(branch):
        match item:
            case Edge(place="start"):
                if index > first:
                    raise Inexpressible("it asks for the beginning of a key in its midst")
                shape.start = True
            case Edge(place="end"):
                if index < last:
                    raise Inexpressible("it asks for the end of a key in its midst")
                shape.end = True
            case Edge(place="word"):
                if first < index <= last:
                    raise Inexpressible("it asks for the edge of a word in its midst")
                shape.first_word |= index <= first
                shape.last_word |= index > last
            case Not(ahead=False) if index <= first and Edge("start") in branch[:index]:
                pass  # nothing stands before the beginning
            case Not(ahead=ahead, branches=branches):
                shape.excluded += [_excluded(branch, index, ahead, inner) for inner in branches]
            case _:
                shape.items.append(item)
    return shape


def _excluded(branch: Branch, index: int, ahead: bool, inner: Branch) -> Branch:
    """What `branch` matches where `inner` stands at that place: it is left out of the selection."""
    before = [item for item in branch[:index] if not isinstance(item, Not)]
    after = [item for item in branch[index + 1 :] if not isinstance(item, Not)]
    open_after = [i for i in after if isinstance(i, Text | OneOf) or (isinstance(i, Wild) and i.kind != "rest")]
    if ahead and not open_after:
        return (*before, *inner)
    if not ahead and not any(isinstance(item, Text | OneOf | Wild) for item in before):
        return (*(i for i in before if i != Edge("word")), *inner, *(i for i in after if i != Edge("word")))
    raise Inexpressible("it looks ahead or back in the midst of what it matches")
