"""Joins: ``[a.{i}, b.{i}]`` brings together what several selectors take, on the captures that they share."""

from __future__ import annotations

from collections.abc import Sequence

from surgery.lang.path import Path
from surgery.lang.render import Filling
from surgery.planning.gather import Gathered

__all__ = ["join", "shared_captures"]


def shared_captures(left: Sequence[Sequence[Path]]) -> list[tuple[str, ...]]:
    """For each selector but the first, the captures that it shares with those before it."""
    captured = [{capture.name for path in paths for capture in path.captures()} for paths in left]
    return [tuple(sorted(captured[n] & set().union(*captured[:n]))) for n in range(1, len(captured))]


def join(gathered: Sequence[Sequence[Gathered]], shared: Sequence[Sequence[str]]) -> list[Gathered]:
    """The groups of the first selector, each with its partners of the others, in every combination that agrees.

    Groups agree where the captures that they share are equal, and what the subtree carries over. A group of the first
    selector without a partner in each of the others is left out.
    """
    rows = list(gathered[0])
    for groups, names in zip(gathered[1:], shared, strict=True):
        partners: dict[tuple[object, ...], list[Gathered]] = {}
        for group in groups:
            partners.setdefault(_agreement(group, names), []).append(group)
        rows = [_together(row, partner) for row in rows for partner in partners.get(_agreement(row, names), ())]
    return rows


def _agreement(group: Gathered, names: Sequence[str]) -> tuple[object, ...]:
    return (*(group.filling.text[name] for name in names), group.rest)


def _together(row: Gathered, partner: Gathered) -> Gathered:
    mine, other = row.filling, partner.filling
    filling = Filling(
        {**other.text, **mine.text},
        {**other.numbers, **mine.numbers},
        {**other.choices, **mine.choices},
        mine.stars,
        mine.groups,
    )
    return Gathered(filling, row.rest, [*row.members, *partner.members])
