"""Rules spelled out: one for each alternative, subtree or key, where a mirrored rule as a whole does not come right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from surgery.inversion.drafts import Draft
from surgery.inversion.judging import Trial, Wanted
from surgery.inversion.keys import moving, path_of
from surgery.inversion.mirror import Mirrored
from surgery.lang.expression import Name
from surgery.lang.path import Capture, Group, Literal, Path, Segment
from surgery.lang.template import Hole, TargetSegment, Template

__all__ = ["explicit", "key_by_key", "one_by_one", "spelled_out", "spelled_out_further"]

#: rules that move each key to the one that it is mapped to
_Rules: TypeAlias = Callable[[Mapping[str, str]], list[tuple[Path, Path]]]


def one_by_one(trial: Trial) -> list[Draft]:
    """A rule for each alternative, the longest first, where one of them is the beginning of another."""
    numbers = {trial.wanted[key].owner for key in trial.wrong}
    found: list[Draft] = []
    for draft in trial.drafts:
        parted = list(_alternatives(draft)) if draft.number in numbers else []
        found += parted or [draft]
    return found


def _alternatives(draft: Draft) -> Iterator[Draft]:
    """The rules for the alternatives of the first pair of groups that are whole segments."""
    if len(draft.mirrored.paths) != 1 or len(draft.mirrored.templates) != 1:
        return
    path, template = draft.mirrored.paths[0], draft.mirrored.templates[0]
    left = [(n, s.parts[0]) for n, s in enumerate(path.segments) if isinstance(s.parts[0], Group)]
    right = [(n, s.parts[0]) for n, s in enumerate(template.segments) if isinstance(s.parts[0], Group)]
    if len(left) != 1 or len(right) != 1 or any(len(s.parts) > 1 for s in path.segments if _has_group(s)):
        return
    if any(len(s.parts) > 1 for s in template.segments if _has_group(s)):
        return
    (place, group), (other, partner) = left[0], right[0]
    pairs = zip(group.alternatives, partner.alternatives, strict=True)
    for one, two in sorted(pairs, key=lambda pair: -len(pair[0])):
        segments = [Segment((Literal(text),)) for text in one]
        targets = [TargetSegment((Literal(text),)) for text in two]
        yield draft.with_mirrored(
            paths=(Path((*path.segments[:place], *segments, *path.segments[place + 1 :])),),
            templates=(Template((*template.segments[:other], *targets, *template.segments[other + 1 :])),),
        )


def _has_group(segment: Segment | TargetSegment) -> bool:
    return any(isinstance(part, Group) for part in segment.parts)


def spelled_out(trial: Trial) -> list[Draft]:
    """A rule for each subtree in the place of a rule that only moves keys, and does it wrong."""
    return _replaced(trial, moving)


def spelled_out_further(trial: Trial) -> list[Draft]:
    """The same for smaller subtrees, which are named on both sides."""
    return _replaced(trial, lambda pairs: moving(pairs, least=1))


def key_by_key(trial: Trial) -> list[Draft]:
    """A rule for each key, what lies deepest first, before all others."""

    def each(pairs: Mapping[str, str]) -> list[tuple[Path, Path]]:
        deepest = sorted(pairs, key=lambda key: -key.count("."))
        return [(path_of(key.split(".")), path_of(pairs[key].split("."))) for key in deepest]

    return _replaced(trial, each)


def _replaced(trial: Trial, rules: _Rules) -> list[Draft]:
    """Rules made from the keys, before all others, in the place of those that only move keys, and do some wrong."""
    owners = {trial.wanted[key].owner for key in trial.wrong}
    takers = {trial.drafts[place].number for place in trial.wrong.values() if place is not None}
    computing = {draft.number for draft in trial.drafts if not draft.moves}
    numbers = {number for number in owners | takers if number is not None} - computing
    first = [draft for n in sorted(numbers) for draft in explicit(n, trial.wanted, rules)]
    return [*first, *(draft for draft in trial.drafts if draft.number not in numbers)]


def explicit(number: int, wanted: Mapping[str, Wanted], rules: _Rules = moving) -> Iterator[Draft]:
    """Rules that move the keys of one rule back, made from these keys alone."""
    pairs = {key: want.back for key, want in wanted.items() if want.owner == number and want.back is not None}
    for left, right in rules(pairs):
        yield Draft(number, Mirrored((left,), (_template(right),), listed=False))


def _template(path: Path) -> Template:
    def given(segment: Segment) -> TargetSegment:
        return TargetSegment(tuple(Hole(Name(p.name)) if isinstance(p, Capture) else p for p in segment.parts))

    return Template(tuple(map(given, path.segments)))
