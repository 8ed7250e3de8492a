"""What mirrored rules would do to the keys of a checkpoint, beside what they should do."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.inversion.drafts import Draft
from surgery.lang.expression import EvaluationError
from surgery.lang.facts import Facts
from surgery.lang.match import Match
from surgery.lang.path import Path
from surgery.lang.pattern import Pattern
from surgery.lang.select import GuardError, SelectorIndex
from surgery.lang.selector import included_paths
from surgery.planning.assign import selectors_of
from surgery.planning.keys import NewKeys
from surgery.tensors.spec import Spec

__all__ = ["Wanted", "idle_parts", "matches_of", "wrongly_taken"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an inverse has to do with one key.

    Attributes:
        spec: the tensor under it.
        owner: the number of the rule that made it; None where none did, or where it kept its key.
        back: the key that the tensor had; None where it was computed.
    """

    spec: Spec
    owner: int | None
    back: str | None


def wrongly_taken(
    drafts: Sequence[Draft], wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> dict[str, int | None]:
    """The keys that rules would not do the right thing with, each with the place of the draft that takes it.

    None stands for keys that no draft takes, though one should.

    Raises:
        SurgeryError: a draft is no rule.
    """
    rules = [draft.rule(values) for draft in drafts]
    owners = [place for place, rule in enumerate(rules) for _ in selectors_of(rule)]
    index = SelectorIndex([selector for rule in rules for selector in selectors_of(rule)])
    new_keys = [NewKeys(rule) if draft.moves else None for draft, rule in zip(drafts, rules, strict=True)]
    wrong: dict[str, int | None] = {}
    for key, want in wanted.items():
        try:
            found = index.first(key.split("."), Facts(key, want.spec, None))
        except GuardError as error:
            wrong[key] = owners[error.number]
            continue
        if found is None:
            if want.owner is not None:
                wrong[key] = None
            continue
        place, (_, path, match) = owners[found[0]], found
        writer = new_keys[place]
        if writer is None:
            if drafts[place].number != want.owner:
                wrong[key] = place
            continue
        try:
            right = writer.of(path, match) == want.back
        except EvaluationError:
            right = False
        if not right:
            wrong[key] = place
    return wrong


def matches_of(draft: Draft, keys: Sequence[str], values: Mapping[str, Any]) -> list[Match]:
    """How the paths of a draft match some keys, conditions and exceptions aside."""
    patterns = [Pattern(path) for selector in selectors_of(draft.rule(values)) for path in included_paths(selector)]
    found = []
    for key in keys:
        match = next((m for pattern in patterns if (m := pattern.match(key.split("."))) is not None), None)
        if match is not None:
            found.append(match)
    return found


def idle_parts(
    drafts: Sequence[Draft], keys: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[tuple[bool, list[Path]]]:
    """For each draft whether it takes no key, and the exceptions that hold for no key which reaches it."""
    rules = [draft.rule(values) for draft in drafts]
    places = [place for place, rule in enumerate(rules) for _ in selectors_of(rule)]
    selectors = [selector for rule in rules for selector in selectors_of(rule)]
    index = SelectorIndex(selectors)
    taking: set[int] = set()
    for key, want in keys.items():
        with contextlib.suppress(GuardError):
            found = index.first(key.split("."), Facts(key, want.spec, None))
            taking |= {places[found[0]]} if found else set()
    idle: list[list[Path]] = [[] for _ in drafts]
    for place, selector in zip(places, selectors, strict=True):
        idle[place] += index.idle(selector)
    return [(place not in taking, paths) for place, paths in enumerate(idle)]
