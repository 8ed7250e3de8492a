"""Mirrored rules made to take just the keys that they are meant for, as a person would: an integer where a text was
captured, special rules before general ones, bounds of an index, ``except``, and in the end one rule for each subtree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from surgery.inversion.drafts import Draft
from surgery.inversion.judging import Wanted, idle_parts, matches_of, wrongly_taken
from surgery.inversion.keys import covering, moving, path_of
from surgery.inversion.mirror import Mirrored
from surgery.lang.expression import Comparison, Const, Expression, ListOf, Name
from surgery.lang.path import Capture, Group, Literal, Path, Segment
from surgery.lang.template import Hole, TargetSegment, Template

__all__ = ["explicit", "sharpened"]

_Drafts: TypeAlias = Sequence[Draft]
_Wrong: TypeAlias = Mapping[str, int | None]


def sharpened(
    drafts: _Drafts, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> tuple[list[Draft], dict[str, int | None]]:
    """The rules, narrowed where they take what they should not, and the keys that they still do wrong.

    Raises:
        SurgeryError: a draft is no rule.
    """
    now, wrong = list(drafts), wrongly_taken(drafts, wanted, values)
    for remedy in (
        _without_idle,
        _without_conditions,
        _with_integers,
        _in_order,
        _within_bounds,
        _in_order,
        _with_exceptions,
        _one_by_one,
        _spelled_out,
        _spelled_out_further,
        _key_by_key,
        _by_name,
    ):
        if not wrong:
            break
        tried = remedy(now, wrong, wanted, values)
        if tried != now:
            still = wrongly_taken(tried, wanted, values)
            if len(still) < len(wrong):
                now, wrong = tried, still
    return list(_trimmed(now, wanted, values)), wrong


def _trimmed(drafts: _Drafts, wanted: Mapping[str, Wanted], values: Mapping[str, Any]) -> Iterator[Draft]:
    """The rules without those, and without the exceptions, for which earlier rules leave nothing."""
    for draft, (is_idle, paths) in zip(drafts, idle_parts(drafts, wanted, values), strict=True):
        excepts = tuple(path for path in draft.mirrored.excepts if path not in paths)
        if draft.optional or not is_idle:
            yield dataclasses.replace(draft, mirrored=dataclasses.replace(draft.mirrored, excepts=excepts))


def _own(draft: Draft, wanted: Mapping[str, Wanted]) -> list[str]:
    return [key for key, want in wanted.items() if want.owner == draft.number]


def _foreign(drafts: _Drafts, place: int, wrong: _Wrong, wanted: Mapping[str, Wanted]) -> list[str]:
    """The keys that a draft takes and another one, or none, should have."""
    number = drafts[place].number
    return [key for key, taker in wrong.items() if taker == place and wanted[key].owner != number]


def _without_idle(
    drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[Draft]:
    """Without rules that have nothing to take back here, and take what belongs to others."""
    return [d for n, d in enumerate(drafts) if _own(d, wanted) or not _foreign(drafts, n, wrong, wanted)]


def _without_conditions(
    drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[Draft]:
    """With exceptions in the place of conditions that held for what a rule took, and do not for what it made."""
    numbers = {wanted[key].owner for key, taker in wrong.items() if taker is None}
    freed = [
        dataclasses.replace(draft, mirrored=dataclasses.replace(draft.mirrored, condition=None))
        if draft.number in numbers
        else draft
        for draft in drafts
    ]
    if freed == list(drafts):
        return freed
    return _with_exceptions(freed, wrongly_taken(freed, wanted, values), wanted, values)


def _with_integers(
    drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[Draft]:
    """``{i}`` becomes ``{i:int}`` where it took nothing but digits."""
    found = []
    for place, draft in enumerate(drafts):
        if _foreign(drafts, place, wrong, wanted):
            matches = matches_of(draft, _own(draft, wanted), values)
            texts = {capture.name for path in draft.mirrored.paths for capture in path.captures()}
            digits = {name for name in texts if matches and all(m.captures[name].isdecimal() for m in matches)}
            draft = draft.with_paths([_as_integers(path, digits) for path in draft.mirrored.paths])
        found.append(draft)
    return found


def _as_integers(path: Path, names: set[str]) -> Path:
    def changed(part: Any) -> Any:
        text = isinstance(part, Capture) and part.kind == "text" and part.name in names
        return dataclasses.replace(part, kind="int") if text else part

    return Path(tuple(dataclasses.replace(s, parts=tuple(map(changed, s.parts))) for s in path.segments))


def _in_order(drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]) -> list[Draft]:
    """The rule that should have a key before the one that takes it; otherwise as they stand."""
    before: dict[int, set[int]] = {place: set() for place in range(len(drafts))}
    for key, taker in wrong.items():
        if taker is not None:
            owners = (place for place, draft in enumerate(drafts) if draft.number == wanted[key].owner)
            before[taker] |= {place for place in owners if place != taker}
    order: list[int] = []
    while len(order) < len(drafts):
        free = (p for p in range(len(drafts)) if p not in order and before[p] <= set(order))
        place = next(free, None)
        if place is None:
            return list(drafts)
        order.append(place)
    return [drafts[place] for place in order]


def _within_bounds(
    drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[Draft]:
    """``if 24 <= i < 40`` where that tells the keys of a rule from those that it takes from others."""
    found = []
    for place, draft in enumerate(drafts):
        foreign = _foreign(drafts, place, wrong, wanted)
        if foreign and len(draft.mirrored.paths) == 1 and draft.mirrored.condition is None:
            own = matches_of(draft, _own(draft, wanted), values)
            others = matches_of(draft, foreign, values)
            integers = [c.name for c in draft.mirrored.paths[0].captures() if c.kind == "int"]
            bounds = (
                _bounds(name, [int(m.captures[name]) for m in own], [int(m.captures[name]) for m in others])
                for name in integers
            )
            draft = draft.narrowed(condition=next((b for b in bounds if b is not None), None))
        found.append(draft)
    return found


def _bounds(name: str, own: list[int], others: list[int]) -> Expression | None:
    """The bounds of an index that hold for all of its own values and for none of the others."""
    low, high = (min(own), max(own)) if own else (0, 0)
    if not own or any(low <= other <= high for other in others):
        return None
    below, above = any(other < low for other in others), any(other > high for other in others)
    if below and above:
        return Comparison((Const(low), Name(name), Const(high)), ("<=", "<="))
    return Comparison((Name(name), Const(low if below else high)), (">=" if below else "<=",))


def _with_exceptions(
    drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[Draft]:
    """``except``, with what a rule takes from others."""
    found = []
    for place, draft in enumerate(drafts):
        foreign = _foreign(drafts, place, wrong, wanted)
        if foreign and len(draft.mirrored.paths) == 1:
            draft = draft.narrowed(excepts=covering(foreign, _own(draft, wanted)))
        found.append(draft)
    return found


def _one_by_one(drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]) -> list[Draft]:
    """A rule for each alternative, the longest first, where one of them is the beginning of another."""
    numbers = {wanted[key].owner for key in wrong}
    found: list[Draft] = []
    for draft in drafts:
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
        mirrored = dataclasses.replace(
            draft.mirrored,
            paths=(Path((*path.segments[:place], *segments, *path.segments[place + 1 :])),),
            templates=(Template((*template.segments[:other], *targets, *template.segments[other + 1 :])),),
        )
        yield dataclasses.replace(draft, mirrored=mirrored)


def _has_group(segment: Segment | TargetSegment) -> bool:
    return any(isinstance(part, Group) for part in segment.parts)


def _spelled_out(
    drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[Draft]:
    """A rule for each subtree in the place of a rule that only moves keys, and does it wrong."""
    return _replaced(drafts, wrong, wanted, moving)


def _spelled_out_further(
    drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> list[Draft]:
    """The same for smaller subtrees, which are named on both sides."""
    return _replaced(drafts, wrong, wanted, lambda pairs: moving(pairs, least=1))


def _key_by_key(drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]) -> list[Draft]:
    """A rule for each key, what lies deepest first, before all others."""

    def each(pairs: Mapping[str, str]) -> list[tuple[Path, Path]]:
        deepest = sorted(pairs, key=lambda key: -key.count("."))
        return [(path_of(key.split(".")), path_of(pairs[key].split("."))) for key in deepest]

    return _replaced(drafts, wrong, wanted, each)


def _by_name(drafts: _Drafts, wrong: _Wrong, wanted: Mapping[str, Wanted], values: Mapping[str, Any]) -> list[Draft]:
    """``if key == "a"``, where other keys lie below what a rule has to take."""
    found = []
    for place, draft in enumerate(drafts):
        own = _own(draft, wanted)
        if _foreign(drafts, place, wrong, wanted) and len(draft.mirrored.paths) == 1 and own:
            taken = {".".join(match.key) for match in matches_of(draft, own, values)}
            names = [Const(key) for key in own if key in taken]
            some = Comparison((Name("key"), names[0]), ("==",)) if len(names) == 1 else None
            draft = draft.narrowed(condition=some or Comparison((Name("key"), ListOf(tuple(names))), ("in",)))
        found.append(draft)
    return found


def _replaced(
    drafts: _Drafts,
    wrong: _Wrong,
    wanted: Mapping[str, Wanted],
    rules: Callable[[Mapping[str, str]], list[tuple[Path, Path]]],
) -> list[Draft]:
    numbers = {wanted[key].owner for key in wrong} - {None}
    numbers = {n for n in numbers if all(draft.moves for draft in drafts if draft.number == n)}
    numbers |= {drafts[place].number for place in wrong.values() if place is not None and drafts[place].moves}
    first = [draft for n in sorted(n for n in numbers if n is not None) for draft in explicit(n, wanted, rules)]
    return [*first, *(draft for draft in drafts if draft.number not in numbers)]


def explicit(
    number: int,
    wanted: Mapping[str, Wanted],
    rules: Callable[[Mapping[str, str]], list[tuple[Path, Path]]] = moving,
) -> Iterator[Draft]:
    """Rules that move the keys of one rule back, made from these keys alone."""
    pairs = {key: want.back for key, want in wanted.items() if want.owner == number and want.back is not None}
    for left, right in rules(pairs):
        yield Draft(number, Mirrored((left,), (_template(right),), listed=False))


def _template(path: Path) -> Template:
    def given(segment: Segment) -> TargetSegment:
        return TargetSegment(tuple(Hole(Name(p.name)) if isinstance(p, Capture) else p for p in segment.parts))

    return Template(tuple(map(given, path.segments)))
