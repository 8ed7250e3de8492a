"""What a plan does, step by step and rule by rule, with equal layers collapsed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from surgery.diagnostics import Span
from surgery.plan import Plan
from surgery.planning.context import Drop
from surgery.references.kind import Named
from surgery.report.sentences import Sentence, collapse_sentences
from surgery.sources.base import Source
from surgery.sources.recipe import RecipeSource
from surgery.steps.load import Load
from surgery.steps.sequence import PlacedStep
from surgery.steps.use import Use
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Touch

__all__ = ["Change", "RuleEdits", "StepEdits", "edits_of", "touches_of"]


@dataclass(frozen=True, slots=True)
class Change:
    """Shape and dtype of a tensor before and after an edit, as text.

    Attributes:
        before, after: the same twice where nothing changes; nothing before where the tensor is new.
        dropped: whether the edit takes the tensor away.
        module: whether the edit is of a module, and not of a tensor.
    """

    before: str
    after: str
    dropped: bool = False
    module: bool = False


@dataclass(frozen=True, slots=True)
class RuleEdits:
    """What one rule does.

    Attributes:
        text: the rule as it was written, or the first line of it.
        span: its place.
        sentences: what it does to which tensors; their labels are `Change`, and their texts empty where the count
            says it all.
    """

    text: str
    span: Span | None
    sentences: tuple[Sentence, ...]

    def count(self, *, dropped: bool = False, module: bool = False) -> int:
        """How many tensors it touches, or takes away, or how many modules it touches."""
        kinds = ((one.count, one.label) for one in self.sentences if isinstance(one.label, Change))
        return sum(count for count, change in kinds if (change.dropped, change.module) == (dropped, module))


@dataclass(frozen=True, slots=True)
class StepEdits:
    """What one step does. `depth` is how many steps it stands inside, such as a ``load``."""

    name: str
    span: Span | None
    depth: int = 0
    note: str | None = None
    rules: tuple[RuleEdits, ...] = ()


@dataclass(slots=True)
class _Slot:
    """A step of the recipe, and what touches it collects on the way."""

    step: PlacedStep | None
    name: str
    depth: int
    said: dict[Span | None, list[tuple[str, Change]]] = field(default_factory=dict)


def edits_of(plan: Plan) -> tuple[StepEdits, ...]:
    """The steps of a plan, in order, each with what its rules do."""
    content = plan.recipe.content
    sources = [content.source, *(content.sources or {}).values()]
    slots = [slot for source in sources for slot in _of_source(source, 0, plan)]
    slots.extend(_slots(plan.recipe.steps, 0, plan))
    for touch in plan.modules:
        _slot_of(touch, slots).said.setdefault(touch.span, []).append((touch.action, Change("", "", module=True)))
    for touch, change in touches_of(plan.subject.entries.values(), plan.drops, plan.before):
        slot = _slot_of(touch, slots)
        slot.said.setdefault(touch.span, []).append((_telling(touch, change), change))
    found = [_step(slot) for slot in slots]
    # what a source did for itself, such as loading weights, is no step; it stands there where it tells something
    return tuple(step for step in found if step.span or any(s.text for rule in step.rules for s in rule.sentences))


def _telling(touch: Touch, change: Change) -> str:
    """What a touch did, in words; none where nothing is told by them: a tensor loaded under the key that it had."""
    left, arrow, right = touch.action.partition(" -> ")
    return "" if arrow and left == right and change.before == change.after else touch.action


def _slots(steps: Sequence[PlacedStep], depth: int, plan: Plan) -> Iterator[_Slot]:
    """The steps, and behind each those that stand inside it, or that it brings in."""
    for placed in steps:
        yield _Slot(placed, placed.name, depth)
        match placed.step:
            case Use(recipe=Named(span=span)):
                yield from _slots(plan.brought.get(span, ()), depth + 1, plan)
            case Load(from_=source, steps=inner):
                yield from _of_source(source, depth + 1, plan)
                yield from _slots(inner, depth + 1, plan)


def _of_source(source: Source | None, depth: int, plan: Plan) -> Iterator[_Slot]:
    """The steps with which a source is made, if a recipe makes it."""
    match source:
        case RecipeSource(recipe=Named(span=span)):
            yield from _slots(plan.brought.get(span, ()), depth, plan)


def _slot_of(touch: Touch, slots: list[_Slot]) -> _Slot:
    """The step that a touch belongs to: the last one of its name that begins before it."""
    for slot in reversed(slots):
        if slot.name == touch.step and _begins_before(slot, touch.span):
            return slot
    slots.insert(0, _Slot(None, touch.step, 0))
    return slots[0]


def _begins_before(slot: _Slot, span: Span | None) -> bool:
    begin = slot.step.span if slot.step else None
    if begin is None or span is None:
        return True
    return begin.file == span.file and (begin.line, begin.column) <= (span.line, span.column)


def touches_of(
    entries: Iterable[Entry], drops: Sequence[Drop], before: Mapping[Origin, Spec]
) -> Iterator[tuple[Touch, Change]]:
    """Everything that was done to a tensor, once, in the order of the keys; then to those that did not stay."""
    seen: set[int] = set()
    for entry in (*entries, *(drop.entry for drop in drops)):
        found = []
        then = str(entry.spec)
        for touch in reversed(entry.trail):
            change = Change(_together(touch.inputs), str(touch.spec)) if touch.spec else Change(then, then)
            if touch is entry.trail[0] and not entry.origins:
                change = Change("", change.after)
            then = change.before
            found.append((touch, change))
        for touch, change in reversed(found):
            # tensors that were made of one carry the same touches on from before
            if id(touch) not in seen:
                seen.add(id(touch))
                yield touch, change
    for drop in drops:
        # initial values that go were never anywhere: the edit of their module tells it
        if drop.origins:
            spec = next((str(before[origin]) for origin in drop.origins if origin in before), "")
            yield drop.touch, Change(spec, "", dropped=True)


def _together(specs: Sequence[Spec]) -> str:
    """Specifications in words: ``float32 [4, 4]``, ``3 × float32 [4, 4]``."""
    counts = Counter(specs)
    return ", ".join(f"{count} × {spec}" if count > 1 else str(spec) for spec, count in counts.items())


def _step(slot: _Slot) -> StepEdits:
    texts = {rule.span: rule.text for rule in getattr(slot.step.step, "rules", ())} if slot.step else {}
    if slot.step is not None and slot.step.when:
        # a rule that selects something and changes nothing is a rule all the same
        for span in texts:
            slot.said.setdefault(span, [])
    ordered = sorted(slot.said.items(), key=lambda item: _order(item[0]))
    rules = tuple(
        RuleEdits(texts.get(span) or _words(span, slot.name), span, tuple(collapse_sentences(said)))
        for span, said in ordered
    )
    step: Any = slot.step
    return StepEdits(slot.name, step.span if step else None, slot.depth, step.note if step else None, rules)


def _order(span: Span | None) -> tuple[str, int, int]:
    return (span.file, span.line, span.column) if span else ("", 0, 0)


def _words(span: Span | None, step: str) -> str:
    """The words at a span; of a span that is the step's name, what follows it on the line."""
    if span is None:
        return ""
    at = span.column - 1
    words = span.excerpt[at : at + span.length]
    if words != step:
        return words
    behind = re.sub(r"(^|\s)#.*", "", span.excerpt[at + span.length :].lstrip(" :"))
    return behind.strip(" :\"'|")
