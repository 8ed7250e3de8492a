"""A substitution in keys, by a regular expression, as rules of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from surgery.foreign.branches import Branch, Brancher, Edge, Item, Mark, Not, OneOf, Wild
from surgery.foreign.letters import Cell
from surgery.foreign.regex import parse_regex
from surgery.foreign.remarks import Inexpressible, Reading
from surgery.foreign.replacement import Group, Piece, parse_replacement
from surgery.foreign.rules import Written, write_rules
from surgery.foreign.sides import sides_of

__all__ = ["selection", "substitution"]

#: what is added to the numbers of wildcards in a second match
_SECOND = 1_000


def substitution(pattern: str, replacement: str) -> list[Written]:
    r"""What ``re.sub(pattern, replacement, key)`` does to keys, as rules for one step.

    A pattern that may match in the midst of a key may do so twice, which is a rule of its own.

    Raises:
        Inexpressible: our language has no rules for it.

    >>> substitution(r"^module\.", "")[0].text
    'optional module.* -> *'
    >>> for rule in substitution(r"layers\.(\d+)\.norm\.", r"blocks.\1.ln."):
    ...     print(rule.text)
    optional **.*layers.{i:int}.norm.**.*layers.{j:int}.norm.* -> **.*blocks.{i}.ln.**.*blocks.{j}.ln.*
    optional **.*layers.{i:int}.norm.* -> **.*blocks.{i}.ln.*
    """
    node, compiled = parse_regex(pattern)
    brancher = Brancher()
    branches = brancher.branches(node)
    pieces = parse_replacement(replacement, compiled.groupindex, compiled.groups)
    found: list[Written] = []
    for branch in branches:
        readings = set(brancher.readings)
        twice: list[Written] = []
        single = _rules(branch, pieces)
        if Edge("start") not in branch:
            twice = _twice(branch, pieces, compiled.groups, brancher)
            readings.add(Reading.TWICE if twice else Reading.FIRST)
            readings |= {Reading.SEVERAL} if len(branches) > 1 or len(single) > 1 else set()
        found += [replace(rule, readings=rule.readings | readings) for rule in (*twice, *single)]
    return found


def selection(pattern: str) -> list[Written]:
    r"""The rules whose left sides select the keys in which ``re.search(pattern, key)`` finds something.

    Raises:
        Inexpressible: our language has no selectors for it.

    >>> [rule.left for rule in selection(r"rotary\.inv_freq$")]
    ['optional **.*rotary.inv_freq except **.*rotary.inv_freq.*']
    """
    brancher = Brancher()
    branches = brancher.branches(parse_regex(pattern)[0])
    rules = [
        rule
        for branch in branches
        for sides in sides_of(branch, ())
        for rule in write_rules(replace(sides, right=sides.left))
    ]
    return [replace(rule, readings=rule.readings | brancher.readings) for rule in rules]


def _rules(branch: Branch, pieces: Sequence[Piece]) -> list[Written]:
    return [rule for sides in sides_of(branch, pieces) for rule in write_rules(sides)]


def _twice(branch: Branch, pieces: Sequence[Piece], groups: int, brancher: Brancher) -> list[Written]:
    """The rule for keys that match in two places, not both in one segment; none, where it takes more than one rule."""
    if any(isinstance(item, Edge | Not) for item in branch):
        return []
    between = Wild("rest", brancher.number(), may_be_empty=True, lazy=True)
    across = f"rest{between.number}+"
    middle = (Mark(groups + 1, True), between, Mark(groups + 1, False))
    again = tuple(_renumbered(item, groups + 1) for item in branch)
    filled = [Group(piece.number + groups + 1) if isinstance(piece, Group) else piece for piece in pieces]
    try:
        sides = sides_of((*branch, *middle, *again), (*pieces, Group(groups + 1), *filled))
        apart = [each for each in sides if any(isinstance(c, Cell) and c.id == across for c in each.left)]
        rules = [rule for each in apart for rule in write_rules(each)]
    except Inexpressible:
        return []
    return rules if len(rules) == 1 else []


def _renumbered(item: Item, groups: int) -> Item:
    """The item of a second match: its wildcards and its groups are others."""
    if isinstance(item, Wild | OneOf):
        return replace(item, number=item.number + _SECOND)
    return Mark(item.number + groups, item.opens) if isinstance(item, Mark) else item
