"""`WeightRenaming` and its kin, each as the lines of one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from surgery.foreign.branches import Branch, Brancher
from surgery.foreign.letters import Cell, Dot, text_letters
from surgery.foreign.remarks import Inexpressible, Reading
from surgery.foreign.replacement import Piece
from surgery.foreign.rules import Written, write_rules
from surgery.foreign.sides import Sides, sides_of
from surgery.foreign.transformers.patterns import branches_of, pieces_of, readings_of, scopes_of
from surgery.foreign.transformers.spared import excluded_of

__all__ = ["renaming_rules", "scoped_sides"]


def renaming_rules(transform: Any, spared: Mapping[str, str]) -> list[Written]:
    """The rules of one renaming, for a step of its own; `spared` keys stay as they are.

    Raises:
        Inexpressible: it is one of transformers' special cases, or our language has no rules for it.
    """
    from transformers import core_model_loading as loading

    known = (loading.WeightTransform.rename_source_key, loading.GroupWeightRename.rename_source_key)
    if type(transform).rename_source_key not in known:
        raise Inexpressible(f"a function of its own in transformers, `{type(transform).__name__}`")
    excluded = excluded_of(transform, spared)
    group = isinstance(transform, loading.GroupWeightRename)
    found: list[Written] = []
    for number, pattern in sorted(enumerate(transform.source_patterns), key=lambda item: -len(item[1])):
        brancher = Brancher()
        pieces = pieces_of(transform.target_patterns[number if group else 0])
        for branch in branches_of(pattern, brancher):
            for sides in scoped_sides(transform, branch, pieces):
                for rule in write_rules(replace(sides, excluded=(*sides.excluded, *excluded))):
                    more = brancher.readings | readings_of(branch) | ({Reading.GUARD} if group else set())
                    found.append(replace(rule, readings=rule.readings | more))
    return found


def scoped_sides(transform: Any, branch: Branch, pieces: list[Piece]) -> Iterator[Sides]:
    """Both sides for each place where a transform looks."""
    for scope in scopes_of(transform, branch):
        for sides in sides_of(branch, pieces, head=scope.head):
            if scope.without is None:
                yield sides
            else:
                below = (*text_letters(scope.without), Dot(), Cell("star", "below"))
                yield replace(sides, excluded=(*sides.excluded, below))
