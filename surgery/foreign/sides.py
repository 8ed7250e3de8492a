"""From one branch of a pattern to the two sides of a rule.

A pattern that is not anchored matches in the midst of a key, and what stands before and behind it stays: that is
``**.*`` in front, whole segments and the beginning of the next, and ``*`` behind, the end of the segment, below which
everything is carried over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from surgery.foreign.branches import Branch, Item, Mark, OneOf, Text, Wild
from surgery.foreign.letters import Cell, Dot, Letters, text_letters
from surgery.foreign.remarks import Inexpressible, Reading
from surgery.foreign.replacement import Group, Piece
from surgery.foreign.shape import Shape, shape_of

__all__ = ["Sides", "sides_of"]

_LEAD: Letters = (Cell("deep", "lead"), Dot(), Cell("star", "lead."))
_TAIL: Letters = (Cell("star", "tail"),)
#: the groups in which what must stand ahead of a match, or behind it, is kept
_AHEAD, _BEHIND = 0, -1


@dataclass(frozen=True, slots=True)
class Sides:
    """The letters of both sides of a rule, and of what the left side leaves out."""

    left: Letters
    right: Letters
    excluded: tuple[Letters, ...] = ()
    readings: frozenset[Reading] = frozenset()


def sides_of(branch: Branch, pieces: Sequence[Piece], *, head: Letters = ()) -> list[Sides]:
    """The rules that one branch of a pattern comes to, most often one.

    Args:
        branch: what is matched.
        pieces: what it is replaced with.
        head: what a key begins with, before the pattern looks at it; it stays.

    Raises:
        Inexpressible: our language has no such rule.
    """
    shape = shape_of(branch)
    found = []
    for items in _spread(shape.items, shape):
        sides = _sides(items, shape, pieces, head)
        if sides is not None:
            found.append(sides)
    return found


def _spread(items: Sequence[Item], shape: Shape) -> Iterator[list[Item | Letters]]:
    """The items with each wildcard over segments spelled out: inside one segment, and over several."""
    consuming = [index for index, item in enumerate(items) if isinstance(item, Text | Wild | OneOf)]
    for index, item in enumerate(items):
        if not isinstance(item, Wild) or item.kind != "rest":
            continue
        at_start, at_end = index == consuming[0], index == consuming[-1]
        before, after = _ends_with_dot(items[:index]), _begins_with_dot(items[index + 1 :])
        for letters in _ways(item, at_start, at_end, before or at_start, after or at_end, before):
            yield from _spread([*items[:index], letters, *items[index + 1 :]], shape)  # type: ignore[list-item]
        return
    yield list(items)


def _ways(item: Wild, at_start: bool, at_end: bool, before: bool, after: bool, dotted: bool) -> Iterator[Letters]:
    name = f"rest{item.number}"
    star, deep, last = Cell("star", name), Cell("deep", f"{name}+"), Cell("star", f"{name}.")
    if at_end and (item.may_be_empty or dotted or at_start):
        yield (star,)  # the rest is carried over
    elif at_end:
        yield (Cell("name", name),)
        yield (Dot(), star)
    elif before and after:
        yield (star, Dot(), deep)
    elif (at_start or dotted) and item.may_be_empty:
        yield (deep, Dot(), star)  # whole segments, and the beginning of one
    else:
        yield (star if item.may_be_empty else Cell("name", name),)
        yield (star, Dot(), deep, Dot(), last)


def _ends_with_dot(items: Sequence[Item]) -> bool:
    last = next((item for item in reversed(items) if not isinstance(item, Mark)), None)
    return isinstance(last, Text) and last.text.endswith(".")


def _begins_with_dot(items: Sequence[Item]) -> bool:
    first = next((item for item in items if not isinstance(item, Mark)), None)
    return isinstance(first, Text) and first.text.startswith(".")


def _sides(items: Sequence[Item | Letters], shape: Shape, pieces: Sequence[Piece], head: Letters) -> Sides | None:
    core, groups = _letters(items)
    if not core and not shape.start:
        raise Inexpressible(
            "it adds text to the end of every key" if shape.end else "it finds nothing, which is everywhere"
        )
    consuming = [item for item in shape.items if isinstance(item, Text | Wild | OneOf)]
    readings = set()
    lead = () if shape.start or _is_rest(consuming[:1]) else _LEAD
    carried = _is_rest(consuming[-1:])
    tail = () if shape.end or carried else _TAIL
    right = _replaced(pieces, groups)
    if lead and (shape.first_word or _is_open(core[:1])):
        lead = (lead[0], Dot())
        readings |= {Reading.EDGE} if shape.first_word or _is_digits(core[:1]) else set()
    if tail and (shape.last_word or _is_open(core[-1:])):
        tail = ()
        readings |= {Reading.EDGE} if shape.last_word or _is_digits(core[-1:]) else set()
    if carried and (right[-1:] != [core[-1]] or right.count(core[-1]) > 1):
        raise Inexpressible("it moves, repeats or drops the end of a key, whatever that is")
    ends = shape.end and not carried
    if ((shape.excluded or ends) and not shape.start) or _is_greedy(consuming, shape.end):
        readings.add(Reading.SEVERAL)
    left = (*head, *lead, *core, *tail)
    excluded = [sides.left for branch in shape.excluded for sides in sides_of(branch, (), head=head)]
    if ends:
        # a selector takes what lies below, too
        excluded.append((*left, Dot(), Cell("star", "below")))
    return Sides(left, (*head, *lead, *right, *tail), tuple(excluded), frozenset(readings))


def _replaced(pieces: Sequence[Piece], groups: dict[int, Letters]) -> list[Cell | Dot]:
    """What stands in place of a match, and of what had to stand beside it."""
    found = [*groups.get(_BEHIND, ())]
    for piece in pieces:
        match piece:
            case Text(text=text):
                found += text_letters(text)
            case Group(number=number):
                found += groups.get(number, ())
            case OneOf():
                found.append(_one_of(piece))
            case Wild(number=number):
                found.append(Cell("int", f"digits{number}"))
    return [*found, *groups.get(_AHEAD, ())]


def _is_rest(items: Sequence[Item]) -> bool:
    return any(isinstance(item, Wild) and item.kind == "rest" for item in items)


def _is_open(letters: Letters) -> bool:
    return bool(letters) and isinstance(letters[0], Cell) and letters[0].kind in ("int", "name")


def _is_digits(letters: Letters) -> bool:
    return bool(letters) and isinstance(letters[0], Cell) and letters[0].kind == "int"


def _is_greedy(consuming: Sequence[Item], end: bool) -> bool:
    """Whether an open part before others takes as much as it can, where ours take as little."""
    fixed = end and sum(isinstance(item, Wild) for item in consuming) == 1
    return not fixed and any(
        isinstance(item, Wild) and item.kind != "digits" and not item.lazy and not _ends_segment(item, after)
        for item, after in zip_longest(consuming, consuming[1:])
    )


def _ends_segment(item: Wild, after: Item | None) -> bool:
    if after is None:
        return True
    return item.kind == "name" and isinstance(after, Text) and after.text.startswith(".")


def _letters(items: Sequence[Item | Letters]) -> tuple[Letters, dict[int, Letters]]:
    """What is matched, and which letters each group holds."""
    found: list[Cell | Dot] = []
    opened: dict[int, int] = {}
    groups: dict[int, Letters] = {}
    for item in items:
        match item:
            case tuple():
                found += item
            case Text(text=text):
                found += text_letters(text)
            case OneOf():
                found.append(_one_of(item))
            case Wild(kind="digits", number=number):
                found.append(Cell("int", f"digits{number}"))
            case Wild(kind="name", number=number):
                found.append(Cell("name", f"name{number}"))
            case Mark(number=number, opens=True):
                opened[number] = len(found)
            case Mark(number=number):
                groups[number] = tuple(found[opened[number] :])
            case _:
                raise AssertionError(item)
    return tuple(found), groups


def _one_of(item: OneOf) -> Cell:
    return Cell("one_of", f"one{item.number}", options=item.options)
