"""What mirrored rules would do to the keys of a checkpoint, beside what they should do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
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

__all__ = ["Trial", "Wanted"]


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


@dataclass(frozen=True, slots=True)
class Trial:
    """Rules that are tried on the keys of a checkpoint.

    Attributes:
        drafts: the rules.
        wanted: what has to be done, key by key.
        values: of the parameters.
        wrong: the keys that the rules would not do the right thing with, each with the place of the rule that takes
            it; None stands for keys that no rule takes, though one should.
    """

    drafts: list[Draft]
    wanted: Mapping[str, Wanted]
    values: Mapping[str, Any]
    wrong: Mapping[str, int | None]

    @classmethod
    def of(cls, drafts: Iterable[Draft], wanted: Mapping[str, Wanted], values: Mapping[str, Any]) -> Trial:
        """Try some rules.

        Raises:
            SurgeryError: a draft is no rule.
        """
        drafts = list(drafts)
        return cls(drafts, wanted, values, _wrongly_taken(drafts, wanted, values))

    def again(self, drafts: Iterable[Draft]) -> Trial:
        """Try other rules on the same keys."""
        return Trial.of(drafts, self.wanted, self.values)

    def own(self, draft: Draft) -> list[str]:
        """The keys that a rule should have."""
        return [key for key, want in self.wanted.items() if want.owner == draft.number]

    def foreign(self, place: int) -> list[str]:
        """The keys that a rule takes and another one, or none, should have."""
        number = self.drafts[place].number
        return [key for key, taker in self.wrong.items() if taker == place and self.wanted[key].owner != number]

    def matches(self, draft: Draft, keys: Sequence[str]) -> list[Match]:
        """How the paths of a rule match some keys, conditions and exceptions aside."""
        rule = draft.rule(self.values)
        patterns = [Pattern(path) for selector in selectors_of(rule) for path in included_paths(selector)]
        found = (next((m for p in patterns if (m := p.match(key.split("."))) is not None), None) for key in keys)
        return [match for match in found if match is not None]

    def trimmed(self) -> list[Draft]:
        """The rules without those, and without the exceptions, for which earlier rules leave nothing."""
        idle = _idle_parts(self.drafts, self.wanted, self.values)
        return [
            draft.with_mirrored(excepts=tuple(path for path in draft.mirrored.excepts if path not in paths))
            for draft, (takes_none, paths) in zip(self.drafts, idle, strict=True)
            if draft.optional or not takes_none
        ]


def _wrongly_taken(
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


def _idle_parts(
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
