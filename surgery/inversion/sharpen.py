"""Mirrored rules made to take just the keys that they are meant for, as a person would: an integer where a text was
captured, special rules before general ones, bounds of an index, ``except``, and in the end one rule for each subtree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from surgery.inversion.drafts import Draft
from surgery.inversion.judging import Trial, Wanted
from surgery.inversion.keys import covering
from surgery.inversion.spelling import key_by_key, one_by_one, spelled_out, spelled_out_further
from surgery.lang.expression import Comparison, Const, Expression, ListOf, Name
from surgery.lang.path import Capture, Part, Path

__all__ = ["sharpened"]

#: other rules in the place of those that do something wrong
_Remedy: TypeAlias = Callable[[Trial], list[Draft]]


def sharpened(
    drafts: Iterable[Draft], wanted: Mapping[str, Wanted], values: Mapping[str, Any]
) -> tuple[list[Draft], Mapping[str, int | None]]:
    """The rules, narrowed where they take what they should not, and the keys that they still do wrong.

    Raises:
        SurgeryError: a draft is no rule.
    """
    trial = Trial.of(drafts, wanted, values)
    for remedy in _REMEDIES:
        if not trial.wrong:
            break
        tried = remedy(trial)
        if tried != trial.drafts:
            next_trial = trial.again(tried)
            if len(next_trial.wrong) < len(trial.wrong):
                trial = next_trial
    return trial.trimmed(), trial.wrong


def _without_idle(trial: Trial) -> list[Draft]:
    """Without rules that have nothing to take back here, and take what belongs to others."""
    return [d for n, d in enumerate(trial.drafts) if trial.own(d) or not trial.foreign(n)]


def _without_conditions(trial: Trial) -> list[Draft]:
    """With exceptions in the place of conditions that held for what a rule took, and do not for what it made."""
    numbers = {trial.wanted[key].owner for key, taker in trial.wrong.items() if taker is None}
    freed = [draft.with_mirrored(condition=None) if draft.number in numbers else draft for draft in trial.drafts]
    return freed if freed == trial.drafts else _with_exceptions(trial.again(freed))


def _with_integers(trial: Trial) -> list[Draft]:
    """``{i}`` becomes ``{i:int}`` where it took nothing but digits."""
    found = []
    for place, draft in enumerate(trial.drafts):
        if trial.foreign(place):
            matches = trial.matches(draft, trial.own(draft))
            texts = {capture.name for path in draft.mirrored.paths for capture in path.captures()}
            digits = {name for name in texts if matches and all(m.captures[name].isdecimal() for m in matches)}
            draft = draft.with_mirrored(paths=tuple(_as_integers(path, digits) for path in draft.mirrored.paths))
        found.append(draft)
    return found


def _as_integers(path: Path, names: set[str]) -> Path:
    def changed(part: Part) -> Part:
        if isinstance(part, Capture) and part.kind == "text" and part.name in names:
            return dataclasses.replace(part, kind="int")
        return part

    return Path(tuple(dataclasses.replace(s, parts=tuple(map(changed, s.parts))) for s in path.segments))


def _in_order(trial: Trial) -> list[Draft]:
    """The rule that should have a key before the one that takes it; otherwise as they stand."""
    before: dict[int, set[int]] = {place: set() for place in range(len(trial.drafts))}
    for key, taker in trial.wrong.items():
        if taker is not None:
            owners = (place for place, draft in enumerate(trial.drafts) if draft.number == trial.wanted[key].owner)
            before[taker] |= {place for place in owners if place != taker}
    order: list[int] = []
    while len(order) < len(trial.drafts):
        free = (p for p in range(len(trial.drafts)) if p not in order and before[p] <= set(order))
        place = next(free, None)
        if place is None:
            return list(trial.drafts)
        order.append(place)
    return [trial.drafts[place] for place in order]


def _within_bounds(trial: Trial) -> list[Draft]:
    """``if 24 <= i < 40`` where that tells the keys of a rule from those that it takes from others."""
    found = []
    for place, draft in enumerate(trial.drafts):
        foreign = trial.foreign(place)
        if foreign and len(draft.mirrored.paths) == 1 and draft.mirrored.condition is None:
            own = trial.matches(draft, trial.own(draft))
            others = trial.matches(draft, foreign)
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


def _with_exceptions(trial: Trial) -> list[Draft]:
    """``except``, with what a rule takes from others."""
    found = []
    for place, draft in enumerate(trial.drafts):
        foreign = trial.foreign(place)
        if foreign and len(draft.mirrored.paths) == 1:
            draft = draft.narrowed(excepts=covering(foreign, trial.own(draft)))
        found.append(draft)
    return found


def _by_name(trial: Trial) -> list[Draft]:
    """``if key == "a"``, where other keys lie below what a rule has to take."""
    found = []
    for place, draft in enumerate(trial.drafts):
        own = trial.own(draft)
        if trial.foreign(place) and len(draft.mirrored.paths) == 1 and own:
            taken = {".".join(match.key) for match in trial.matches(draft, own)}
            names = [Const(key) for key in own if key in taken]
            some = Comparison((Name("key"), names[0]), ("==",)) if len(names) == 1 else None
            draft = draft.narrowed(condition=some or Comparison((Name("key"), ListOf(tuple(names))), ("in",)))
        found.append(draft)
    return found


#: in the order in which they are tried: what a person would do first comes first
_REMEDIES: tuple[_Remedy, ...] = (
    _without_idle,
    _without_conditions,
    _with_integers,
    _in_order,
    _within_bounds,
    _in_order,
    _with_exceptions,
    one_by_one,
    spelled_out,
    spelled_out_further,
    key_by_key,
    _by_name,
)
