"""Keys spelled out: literal text, open parts, and the dots between segments.

Both sides of a rule are rows of letters. A cell stands for the same text wherever it stands, and has a form of its own
on either side: a wildcard on the left is a wildcard or a name on the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from surgery.lang.expression import Name
from surgery.lang.path import Capture, Deep, Group, Part, Path, Segment, Star
from surgery.lang.path import Literal as LiteralPart
from surgery.lang.template import Hole, TargetPart, TargetSegment, Template

__all__ = ["Cell", "Dot", "Kind", "Letters", "as_path", "as_template", "segments", "text_letters"]

Kind: TypeAlias = Literal["text", "star", "deep", "int", "name", "names", "one_of"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One part of a segment.

    Attributes:
        kind: literal text; ``*``; ``**``; ``{i:int}``; ``{x}``; ``{p:**}``; or ``(a|b)``.
        id: what tells open parts apart: the same part bears the same id on both sides.
        text: literal text.
        options: the alternatives of ``(a|b)``.
    """

    kind: Kind
    id: str = ""
    text: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot between two segments."""


Letters: TypeAlias = tuple[Cell | Dot, ...]

_NAMES = {"int": "ijklmn", "name": "xyzuvw", "names": "pqrst"}


def text_letters(text: str) -> Letters:
    """Literal text; its dots separate segments."""
    found: list[Cell | Dot] = []
    for number, word in enumerate(text.split(".")):
        if number:
            found.append(Dot())
        if word:
            found.append(Cell("text", text=word))
    return tuple(found)


def segments(letters: Iterable[Cell | Dot]) -> list[list[Cell]]:
    """The cells of each segment, literal texts that stand side by side joined; an empty segment has none."""
    found: list[list[Cell]] = [[]]
    for letter in letters:
        if isinstance(letter, Dot):
            found.append([])
        else:
            found[-1].append(letter)
    return [list(_joined(cells)) for cells in found]


def _joined(cells: list[Cell]) -> Iterator[Cell]:
    for kind, run in groupby(cells, key=lambda cell: cell.kind):
        if kind == "text":
            yield Cell("text", text="".join(cell.text for cell in run))
        else:
            yield from run


def as_path(letters: Letters, *, names: str = "") -> Path:
    """The left side, whose letters have no empty segment; its captures are named from `names` on, where given."""
    called = _called(letters, names)
    return Path(tuple(Segment(tuple(_part(cell, called) for cell in cells)) for cells in segments(letters)))


def as_template(letters: Letters, left: Letters) -> Template:
    """The right side of a rule whose left side is `left`."""
    called = _called((*left, *letters), "")
    return Template(
        tuple(TargetSegment(tuple(_target(cell, called) for cell in cells)) for cells in segments(letters) if cells)
    )


def _called(letters: Letters, prefix: str) -> dict[str, str]:
    """Names for the captures: the usual letters, and numbers where those run out."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    for letter in letters:
        if isinstance(letter, Cell) and letter.kind in _NAMES and letter.id not in found:
            number = counts.get(letter.kind, 0)
            counts[letter.kind] = number + 1
            usual = _NAMES[letter.kind]
            found[letter.id] = prefix + (usual[number] if number < len(usual) else f"{usual[0]}{number}")
    return found


def _part(cell: Cell, called: dict[str, str]) -> Part:
    match cell.kind:
        case "int":
            return Capture(called[cell.id], "int")
        case "name":
            return Capture(called[cell.id])
        case "names":
            return Capture(called[cell.id], "deep")
    return _unnamed(cell)


def _target(cell: Cell, called: dict[str, str]) -> TargetPart:
    return Hole(Name(called[cell.id])) if cell.kind in _NAMES else _unnamed(cell)


def _unnamed(cell: Cell) -> LiteralPart | Star | Deep | Group:
    """What is written alike on both sides of a rule."""
    match cell.kind:
        case "star":
            return Star()
        case "deep":
            return Deep()
        case "one_of":
            return Group(tuple(tuple(option.split(".")) for option in cell.options))
    return LiteralPart(cell.text)
