"""`WeightConverter`s as rules of one `convert` step: of a key, the first that matches applies, as there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from surgery.foreign.branches import Branch, Brancher, Item, OneOf, Text, Wild
from surgery.foreign.letters import Cell, Dot
from surgery.foreign.remarks import Inexpressible
from surgery.foreign.replacement import Piece
from surgery.foreign.rules import Written, write_rules
from surgery.foreign.sides import Sides
from surgery.foreign.transformers.operations import Via, via_of
from surgery.foreign.transformers.patterns import branches_of, pieces_of, readings_of
from surgery.foreign.transformers.renamings import scoped_sides

__all__ = ["Converted", "converter_rules"]

#: the mark on names of results that a second step is to permute
_MARK = ":paired"


@dataclass(frozen=True, slots=True)
class Converted:
    """The rules of a converter, and those of the steps before and after it, where it takes several."""

    first: list[Written]
    rules: list[Written]
    then: list[Written]


def converter_rules(converter: Any, model: Any) -> Converted:
    """The rules of one converter.

    Raises:
        Inexpressible: it computes, or matches, what has no form here.
    """
    via = via_of(converter, model)
    sources, targets = converter.source_patterns, converter.target_patterns
    if len(sources) > 1 and len(targets) > 1:
        raise Inexpressible("several tensors made of several")
    brancher = Brancher()
    branches = [branches_of(source, brancher, index=True) for source in sources]
    if any(len(options) != 1 for options in branches):
        raise Inexpressible("a converter whose pattern has branches")
    branch = _one_branch([options[0] for options in branches], brancher)
    index = next((item for item in branch if isinstance(item, Wild)), None)
    if index is None and any("*" in target for target in targets):
        index = Wild("digits", brancher.number())
    marked = [f"{target}{_MARK}" if target in via.permuted else target for target in targets]
    pieces = _one_row([pieces_of(target, index) for target in marked], brancher)
    rules, then = [], []
    readings = brancher.readings | readings_of(branch)
    for sides in scoped_sides(converter, branch, pieces):
        rules += [replace(rule, readings=rule.readings | readings) for rule in _written(sides, via)]
        then += _permuting(sides, via) if via.after else []
    first = [rule for source in via.permuted if via.before for rule in _in_place(converter, source, via)]
    return Converted(first, rules, then)


def _in_place(converter: Any, source: str, via: Via) -> list[Written]:
    """The rules that permute what one source pattern matches, where it stands."""
    found = []
    for branch in branches_of(source, Brancher()):
        for sides in scoped_sides(converter, branch, []):
            found += write_rules(replace(sides, right=sides.left), via=via.before)
    return found


def _written(sides: Sides, via: Via) -> list[Written]:
    rules = write_rules(sides, via=via.text, condition=via.condition)
    if not via.condition:
        return rules
    # where the condition does not hold the tensor is renamed all the same
    return [*rules, *(rule for rule in write_rules(sides) if sides.left != sides.right)]


def _permuting(sides: Sides, via: Via) -> list[Written]:
    """The rules that permute the marked results and take the mark away."""
    cell = next(
        letter
        for letter in sides.right
        if isinstance(letter, Cell) and letter.kind == "one_of" and letter not in sides.left
    )
    marked = tuple(option for option in cell.options if option.endswith(_MARK))
    found = []
    for option in marked:
        left = _with(sides.right, cell, option)
        right = _with(sides.right, cell, option.removesuffix(_MARK))
        found += write_rules(Sides(left, right), via=via.after)
    return found


def _with(letters: Sequence[Cell | Dot], cell: Cell, text: str) -> tuple[Cell | Dot, ...]:
    found: list[Cell | Dot] = []
    for letter in letters:
        if letter is cell:
            for number, word in enumerate(text.split(".")):
                found += [Dot()] if number else []
                found.append(Cell("text", text=word))
        else:
            found.append(letter)
    return tuple(found)


def _one_branch(branches: list[Branch], brancher: Brancher) -> Branch:
    """Branches that differ in one text as one, with a choice there: the sources of a converter in their order."""
    return tuple(_row(branches, brancher))


def _one_row(rows: list[list[Piece]], brancher: Brancher) -> list[Piece]:
    return _row(rows, brancher)  # type: ignore[return-value]


def _row(rows: Sequence[Sequence[Any]], brancher: Brancher) -> list[Item]:
    if len(rows) == 1:
        return list(rows[0])
    if len({len(row) for row in rows}) != 1:
        raise Inexpressible("patterns of several shapes")
    found: list[Item] = []
    differ = 0
    for column in zip(*rows, strict=True):
        if all(_alike(item, column[0]) for item in column):
            found.append(column[0])
        elif all(isinstance(item, Text) for item in column):
            differ += 1
            found += _choice([item.text for item in column], brancher)
        else:
            raise Inexpressible("patterns of several shapes")
    if differ != 1:
        raise Inexpressible("patterns that differ in several places")
    return found


def _alike(item: Any, first: Any) -> bool:
    """Whether two items take the same; wildcards are numbered throughout, and are told apart by their kind alone."""
    return item == first or (isinstance(item, Wild) and isinstance(first, Wild) and item.kind == first.kind)


def _choice(texts: list[str], brancher: Brancher) -> list[Item]:
    """Texts with the segments that they share taken out: ``mlp.(gate|up).weight``."""
    rows = [text.split(".") for text in texts]
    shortest = min(map(len, rows)) - 1
    first = next((n for n in range(shortest) if len({row[n] for row in rows}) > 1), shortest)
    last = next((n for n in range(shortest - first) if len({row[-1 - n] for row in rows}) > 1), shortest - first)
    inner = tuple(".".join(row[first : len(row) - last]) for row in rows)
    if not all(inner):
        raise Inexpressible("patterns one of which is a part of another")
    head, tail = rows[0][:first], rows[0][len(rows[0]) - last :]
    found: list[Item] = [OneOf(inner, brancher.number())]
    return [Text(".".join((*head, ""))), *found, Text(".".join(("", *tail)))] if head or tail else found
