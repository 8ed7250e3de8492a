"""Rule texts of both sides, as the language wants them: wildcards pair in order, groups one to one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product

from surgery.diagnostics import SurgeryError
from surgery.foreign.letters import Cell, Dot, Kind, Letters, as_path, as_template, segments, text_letters
from surgery.foreign.remarks import Inexpressible, Reading
from surgery.foreign.sides import Sides
from surgery.lang import parse_rules
from surgery.text import Text

__all__ = ["Written", "write_rules"]


@dataclass(frozen=True, slots=True)
class Written:
    """The sides of a rule as text, and how what it stands for was read."""

    left: str
    right: str
    readings: frozenset[Reading] = frozenset()

    @property
    def text(self) -> str:
        """The rule."""
        return f"{self.left} -> {self.right}"


def write_rules(sides: Sides, *, via: str = "", condition: str = "") -> list[Written]:
    """The rules for both sides, most often one; `via` are operations and `condition` a guard.

    Raises:
        Inexpressible: no rule says this.
    """
    found = []
    for each in _writable(sides, bool(via)):
        left = str(as_path(each.left))
        if each.excluded:
            paths = [str(as_path(letters, names="not_")) for letters in each.excluded]
            left = f"{left} except {' | '.join(paths)}"
        if condition:
            left = f"{left} if {condition}"
        right = f"{as_template(each.right, each.left)}" + (f" via {via}" if via else "")
        rule = Written(f"optional {left}", right, each.readings | _emptied(each))
        _check(rule.text)
        found.append(rule)
    return found


def _writable(sides: Sides, via: bool) -> Iterator[Sides]:
    """The same sides in forms that the language takes; several, where one form does not say all."""
    for letters in (sides.left, *sides.excluded):
        if not all(segments(letters)):
            raise Inexpressible("it matches nothing but keys with an empty segment")
        for left, right in _neighbours(letters):
            if left.kind not in ("text", "one_of") and right.kind not in ("text", "one_of"):
                raise Inexpressible("two open parts of it stand side by side")
    if not any(segments(sides.right)):
        raise Inexpressible("it takes the whole key away")
    if not _groups_pair(sides, via):
        for each in _without_groups(sides, via):
            yield from _writable(each, via)
    elif not _stars_pair(sides):
        for each in _named(sides):
            yield from _writable(each, via)
    else:
        yield sides


def _neighbours(letters: Letters) -> Iterator[tuple[Cell, Cell]]:
    for cells in segments(letters):
        yield from pairwise(cells)


def _groups_pair(sides: Sides, via: bool) -> bool:
    """Whether the groups of both sides are the same in order, or stand on one side: chosen from, gathered or made."""
    left, right = ([cell.id for cell in _choices(letters)] for letters in (sides.left, sides.right))
    return left == right or not right or (via and not left)


def _choices(letters: Letters) -> list[Cell]:
    return [cell for cell in letters if isinstance(cell, Cell) and cell.kind == "one_of"]


def _without_groups(sides: Sides, via: bool) -> Iterator[Sides]:
    """One for each choice of the alternatives; with operations, those of one side stay: they are gathered, or made."""
    left, right = ({cell.id: cell for cell in _choices(letters)} for letters in (sides.left, sides.right))
    cells = {id: cell for id, cell in left.items() if id in right or not via}
    if any(id not in cells for id in right) and (not via or len(cells) < len(left)):
        raise Inexpressible("it makes several tensors of several")
    for options in product(*(cell.options for cell in cells.values())):
        chosen = dict(zip(cells, options, strict=True))
        excluded = tuple(_chosen(letters, chosen) for letters in sides.excluded)
        yield replace(sides, left=_chosen(sides.left, chosen), right=_chosen(sides.right, chosen), excluded=excluded)


def _chosen(letters: Letters, chosen: dict[str, str]) -> Letters:
    found: list[Cell | Dot] = []
    for letter in letters:
        if isinstance(letter, Cell) and letter.id in chosen:
            found += text_letters(chosen[letter.id])
        else:
            found.append(letter)
    return tuple(found)


def _stars_pair(sides: Sides) -> bool:
    """Whether the stars of the right are the first of the left, in order, and stand where stars can."""
    left = [cell.id for cell in sides.left if isinstance(cell, Cell) and cell.kind in ("star", "deep")]
    right = [cell.id for cell in sides.right if isinstance(cell, Cell) and cell.kind in ("star", "deep")]
    pairs = True
    for cells in segments(sides.right):
        pairs &= not any(a.kind == b.kind == "star" for a, b in pairwise(cells))
        if len(cells) > 1 and any(cell.kind in ("deep", "names") for cell in cells):
            raise Inexpressible("text is put before or behind whole segments, without a dot")
    return pairs and right == left[: len(right)]


def _named(sides: Sides) -> Iterator[Sides]:
    """The same with names in place of stars. A name takes a character at least: where a star may take none, there is
    one rule with it and one without."""
    partial = [cell.id for cells in segments(sides.left) for cell in cells if cell.kind == "star" and len(cells) > 1]
    for kept in product((False, True), repeat=len(partial)):
        dropped = {id for id, keep in zip(partial, kept, strict=True) if not keep}
        yield replace(sides, left=_with_names(sides.left, dropped), right=_with_names(sides.right, dropped))


def _with_names(letters: Letters, dropped: set[str]) -> Letters:
    kinds: dict[str, Kind] = {"star": "name", "deep": "names"}
    return tuple(
        replace(letter, kind=kinds[letter.kind]) if isinstance(letter, Cell) and letter.kind in kinds else letter
        for letter in letters
        if not (isinstance(letter, Cell) and letter.id in dropped)
    )


def _emptied(sides: Sides) -> set[Reading]:
    """Whether a segment of the right side may come out empty."""
    partial = {c.id for cells in segments(sides.left) if len(cells) > 1 for c in cells if c.kind == "star"}
    for cells in segments(sides.right):
        if all(cell.kind == "star" and cell.id in partial for cell in cells):
            return {Reading.EMPTY}
    return set()


def _check(text: str) -> None:
    try:
        parse_rules(Text.plain(text), "key")
    except SurgeryError as error:
        raise Inexpressible(error.diagnostics[0].message) from error
