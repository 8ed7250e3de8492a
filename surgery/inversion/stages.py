"""The steps of a recipe at work, one by one, each on symbols in the place of tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from surgery.diagnostics import SurgeryError
from surgery.inversion.identity import name_of, symbolic
from surgery.planning.context import Context
from surgery.planning.loading import load_into
from surgery.steps.load import Load
from surgery.steps.sequence import PlacedStep, apply_steps
from surgery.tensors.expr import leaves
from surgery.tensors.subject import Subject

__all__ = ["Stage", "Staging", "lost_on_the_way", "stages_of"]

#: what is said of rules that find nothing to do
_IDLE = ("unused-rule", "unused-exception", "wrong-count", "incomplete-group", "check-failed")


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One step at work.

    Attributes:
        step: the step, its parameters bound.
        open: the same with its parameters open, for its words.
        before: the subject that it sees, made of symbols; of a `load`, what is loaded.
        after: what it makes of it.
    """

    step: PlacedStep
    open: PlacedStep
    before: Subject
    after: Subject

    def lost(self) -> list[str]:
        """The keys of `before` whose tensors do not reach `after`, not even as a part of something."""
        there = {name_of(leaf) for entry in self.after.entries.values() for leaf in leaves(entry.expr)}
        return [key for key, entry in self.before.entries.items() if name_of(entry.expr) not in there]


@dataclass(slots=True)
class Staging:
    """How steps are taken one by one.

    Attributes:
        context: the surroundings of the plan.
        idle: whether rules may find nothing to do.
    """

    context: Context
    idle: bool = False

    def take(self, one: PlacedStep, subject: Subject) -> Subject:
        """The subject after a step.

        Raises:
            SurgeryError: the step cannot be done.
        """
        if not self.idle:
            return apply_steps((one,), subject, self.context)
        context = dataclasses.replace(self.context, diagnostics=[], here=one.span)
        try:
            return one.step.apply(subject, context)
        finally:
            wrong = [d for d in context.diagnostics if d.severity == "error" and d.code not in _IDLE]
            if wrong:
                raise SurgeryError(wrong)


def stages_of(
    steps: Sequence[PlacedStep],
    opened: Sequence[PlacedStep],
    subject: Subject,
    staging: Staging,
    *,
    among: Collection[str] | None = None,
    loads: bool = False,
) -> list[Stage]:
    """The steps on a subject, one after the other.

    Args:
        steps: the steps, bound.
        opened: the same with their parameters open.
        subject: what they begin with.
        staging: the surroundings.
        among: the keys of the source that count; None for all.
        loads: whether the first `load` brings the source in, and the subject is a model that is there to take it.

    Raises:
        SurgeryError: a step cannot be done.
    """
    found: list[Stage] = []
    first = next((one for one in steps if isinstance(one.step, Load)), None) if loads else None
    subject = _only(subject, None if first else among)
    for one, same in zip(steps, opened, strict=True):
        if not one.when:
            continue
        if one.step.keeps_tensors:
            subject = subject if staging.idle else staging.take(one, subject)
            continue
        if one is first and isinstance(one.step, Load) and isinstance(same.step, Load):
            loaded = _only(one.step.from_.open(staging.context), among)
            # what was done to the model until now was done to no tensor that is asked for
            found = stages_of(one.step.steps, same.step.steps, loaded, staging)
            before = symbolic(found[-1].after if found else loaded)
            after = _loaded(one.step, subject, before, staging)
        else:
            before = symbolic(subject)
            after = staging.take(one, before)
        found.append(Stage(one, same, before, after))
        subject = after
    return found


def _only(subject: Subject, among: Collection[str] | None) -> Subject:
    if among is None:
        return subject
    return subject.replace(entries={key: entry for key, entry in subject.entries.items() if key in among})


def _loaded(step: Load, subject: Subject, loaded: Subject, staging: Staging) -> Subject:
    context = dataclasses.replace(staging.context, diagnostics=[])
    after = load_into(
        subject,
        loaded.entries,
        context,
        missing=step.missing,
        unexpected=step.unexpected,
        mismatched=step.mismatched,
        into=step.into or "",
        rest=loaded.rest,
    )
    wrong = [d for d in context.diagnostics if d.severity == "error" and not (staging.idle and d.code in _IDLE)]
    if wrong:
        raise SurgeryError(wrong)
    return after


def lost_on_the_way(stages: Sequence[Stage]) -> set[str]:
    """The keys of the first stage whose tensors do not reach the last one's result."""
    if not stages:
        return set()
    alive = set(stages[-1].after.entries)
    for stage in reversed(stages):
        names = {name_of(leaf) for key in alive for leaf in leaves(stage.after.entries[key].expr)}
        alive = {key for key, entry in stage.before.entries.items() if name_of(entry.expr) in names}
    return set(stages[0].before.entries) - alive
