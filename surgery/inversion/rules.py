"""``rename`` and ``convert`` backwards, on the keys of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.diagnostics import Diagnostic, Span, SurgeryError
from surgery.inversion.arithmetic import Known, divisors, small
from surgery.inversion.comments import comments_of
from surgery.inversion.computed import computing_drafts
from surgery.inversion.drafts import Draft
from surgery.inversion.identity import name_of
from surgery.inversion.judging import Wanted
from surgery.inversion.mirror import mirrored
from surgery.inversion.pieces import Line, Piece, rules_value
from surgery.inversion.reflection import OneWay
from surgery.inversion.sharpen import sharpened
from surgery.inversion.spelling import explicit
from surgery.inversion.stages import Stage
from surgery.lang.pattern import Pattern
from surgery.lang.rule import Rule
from surgery.lang.selector import included_paths
from surgery.lang.template import Hole
from surgery.planning.assign import selectors_of
from surgery.tensors.expr import TensorExpr
from surgery.wording import listed

__all__ = ["rule_pieces"]


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of a step, with what they did."""

    stage: Stage
    bound: tuple[Rule, ...]
    open: tuple[Rule, ...]
    owners: Mapping[str, int]
    wanted: Mapping[str, Wanted]

    def made_by(self, number: int) -> dict[str, TensorExpr]:
        """The tensors that a rule made, by key."""
        return {key: self.stage.after.entries[key].expr for key, owner in self.owners.items() if owner == number}

    def keys_of(self, number: int) -> list[str]:
        """The keys that a rule took."""
        made = (key for key, owner in self.owners.items() if owner == number)
        return [origin.key for key in made for origin in self.stage.after.entries[key].origins]


def rule_pieces(stage: Stage, values: Mapping[str, Any]) -> Iterator[Piece | Diagnostic]:
    """The step that takes a step of key rules back, with warnings; or why there is none.

    Args:
        stage: the step at work.
        values: of the parameters.
    """
    bound, opened = stage.step.step.rules, stage.open.step.rules  # type: ignore[attr-defined]
    owners = _owners(stage, bound)
    rules = _Rules(stage, bound, opened, owners, _wanted(stage, owners))
    drafts: list[Draft] = []
    failed = False
    for number in range(len(bound)):
        for found in _drafts(rules, number):
            if isinstance(found, Diagnostic):
                failed = failed or found.severity == "error"
                yield found
            else:
                drafts.append(found)
    if failed or not drafts:
        return
    try:
        narrow, wrong = sharpened(drafts, rules.wanted, values)
    except SurgeryError as error:
        yield _unwritable(stage, error)
        return
    if wrong:
        yield from _hopeless(rules, narrow, wrong)
        return
    yield from _said(rules, drafts, narrow)
    rest = "error" if getattr(stage.step.step, "rest", None) == "error" else None
    yield Piece(stage.step.name, rules_value(list(_lines(rules, narrow)), rest=rest))


def _owners(stage: Stage, rules: Sequence[Rule]) -> dict[str, int]:
    """For each key of the result that a rule gave, the number of the rule."""
    numbers: dict[Span | None, int] = {}
    for number, rule in enumerate(rules):
        numbers.setdefault(rule.span, number)
    return {key: numbers[entry.trail[-1].span] for key, entry in stage.after.entries.items() if entry.trail}


def _wanted(stage: Stage, owners: Mapping[str, int]) -> dict[str, Wanted]:
    found = {}
    for key, entry in stage.after.entries.items():
        plain = name_of(entry.expr) is not None
        found[key] = Wanted(entry.spec, owners.get(key), entry.origins[0].key if plain else None)
    return found


def _drafts(rules: _Rules, number: int) -> Iterator[Draft | Diagnostic]:
    """The rules that take one rule back."""
    rule, made = rules.open[number], rules.made_by(number)
    bound = rules.bound[number]
    moves = not bound.right.operations
    try:
        mirror = mirrored(rule, _known(bound, rules.keys_of(number)))
    except OneWay as error:
        single = moves and not bound.right.listed and all(want.back for want in map(rules.wanted.__getitem__, made))
        if single and made:
            # what a rule loses, the keys at hand still tell
            yield from explicit(number, rules.wanted)
        elif made:
            yield Diagnostic("no-inverse", str(error), rule.span_of(error.at) if error.at else rule.span)
        return
    if not made and not rule.optional and not mirror.in_place:
        return
    if moves:
        yield Draft(number, mirror, optional=rule.optional)
    else:
        yield from computing_drafts(number, rule, bound, mirror, made)


def _known(rule: Rule, keys: Sequence[str]) -> Known:
    """What the keys that a rule took tell of the captures that its right side divides, or puts together."""
    expressions = [p.expression for t in rule.right.templates for p in t.parts() if isinstance(p, Hole)]
    divided = {pair for expression in expressions for pair in divisors(expression)}
    counting = {name for name in map(small, expressions) if name is not None}
    if not divided and not counting:
        return Known()
    patterns = [Pattern(path) for selector in selectors_of(rule) for path in included_paths(selector)]
    matches = [match for key in keys for p in patterns if (match := p.match(key.split("."))) is not None]
    values = {name: {int(m.captures[name]) for m in matches} for name in {*(name for name, _ in divided), *counting}}
    remainders = {}
    for name, divisor in divided:
        rests = {value % divisor for value in values[name]}
        if len(rests) == 1:
            remainders[name] = (divisor, rests.pop())
    return Known(remainders, {name: max(values[name]) + 1 for name in counting if values[name]})


def _unwritable(stage: Stage, error: SurgeryError) -> Diagnostic:
    note = error.diagnostics[0].message
    return Diagnostic("no-inverse", "these rules cannot be written from right to left", stage.step.span, (note,))


def _hopeless(rules: _Rules, drafts: Sequence[Draft], wrong: Mapping[str, int | None]) -> Iterator[Diagnostic]:
    """Which rules do not come right, each once."""
    seen: set[int] = set()
    for key, taker in wrong.items():
        owner = rules.wanted[key].owner
        number = owner if owner is not None else drafts[taker].number if taker is not None else None
        if number is None or number in seen:
            continue
        seen.add(number)
        others = [k for k in wrong if rules.wanted[k].owner == owner]
        message = f"backwards, this rule does not give {listed(others, 2)} what it came from"
        notes = []
        if taker is not None:
            notes.append(f"`{drafts[taker].left}` would take `{key}`")
        yield Diagnostic("no-inverse", message, rules.bound[number].span, tuple(notes))


def _said(rules: _Rules, first: Sequence[Draft], last: Sequence[Draft]) -> Iterator[Diagnostic]:
    """A warning for each rule that plain mirroring would not have undone."""
    plain = {draft.number: draft for draft in first}
    for number, draft in plain.items():
        now = [d for d in last if d.number == number]
        if [d.left for d in now] != [d.left for d in first if d.number == number]:
            other = ", ".join(f"`{d.left}`" for d in now[:2]) + (", …" if len(now) > 2 else "")
            message = f"in the mirror, `{draft.left}` would take other keys than this rule gave"
            yield Diagnostic("inverse", message, rules.bound[number].span, (f"the inverse says {other}",), "warning")


def _lines(rules: _Rules, drafts: Sequence[Draft]) -> Iterator[Line]:
    before: set[int] = set()
    for draft in drafts:
        rule = rules.open[draft.number]
        above, behind = comments_of(rule) if draft.number not in before else ((), "")
        before.add(draft.number)
        yield Line(draft.left, draft.right, draft.via, above, behind, rule.note)
