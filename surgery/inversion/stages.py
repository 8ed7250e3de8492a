"""The steps of a recipe at work, one by one, each on symbols in the place of tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from surgery.inversion.identity import name_of, symbolic
from surgery.planning.context import Context
from surgery.steps.load import Load
from surgery.steps.sequence import PlacedStep, apply_steps
from surgery.steps.use import Use
from surgery.tensors.expr import leaves
from surgery.tensors.subject import Subject

__all__ = ["Stage", "needed", "only_what_stays", "stages_of"]


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

    def lost(self, keys: Collection[str]) -> list[str]:
        """Those of some keys of `before` whose tensors do not reach `after`, not even as a part of something."""
        there = {name_of(leaf) for entry in self.after.entries.values() for leaf in leaves(entry.expr)}
        return [key for key, entry in self.before.entries.items() if key in keys and name_of(entry.expr) not in there]


def stages_of(
    steps: Sequence[PlacedStep],
    opened: Sequence[PlacedStep],
    subject: Subject,
    context: Context,
    *,
    loads: bool = False,
) -> list[Stage]:
    """The steps on a subject, one after the other, but for those that keep every tensor as it is.

    Args:
        steps: the steps, bound.
        opened: the same with their parameters open.
        subject: what they begin with.
        context: the surroundings of the plan.
        loads: whether the first `load` brings the source in, and the subject is a model that is there to take it.

    Raises:
        SurgeryError: a step cannot be done.
    """
    first = next((one for one in steps if isinstance(one.step, Load)), None) if loads else None
    found: list[Stage] = []
    for one, same in zip(steps, opened, strict=True):
        if not one.when:
            continue
        if one is first and isinstance(one.step, Load) and isinstance(same.step, Load):
            loaded = one.step.from_.open(context)
            # what was done to the model until now was done to no tensor that is asked for
            found = stages_of(one.step.steps, same.step.steps, loaded, context)
            before = symbolic(found[-1].after if found else loaded)
            after = one.step.bring(subject, before, context)
            context.raise_errors()
        elif isinstance(one.step, Use) and (inner := _brought(one.step, subject, context)):
            found += stages_of(inner, inner, subject, context)
            subject = found[-1].after if found else subject
            continue
        elif one.step.keeps_tensors:
            subject = apply_steps((one,), subject, context)
            continue
        else:
            before = symbolic(subject)
            after = apply_steps((one,), before, context)
        found.append(Stage(one, same, before, after))
        subject = after
    return found


def _brought(step: Use, subject: Subject, context: Context) -> tuple[PlacedStep, ...]:
    """The steps that another recipe brings in, where they can be taken one by one: what is loaded lies beside it."""
    assert context.recipes is not None, "recipes are read by a plan"
    context.recipes.applied(step.recipe, dict(step.params), subject, context)
    inner = context.brought[step.recipe.span]
    return () if any(isinstance(one.step, Load | Use) for one in inner) else inner


def needed(stages: Sequence[Stage]) -> list[set[str]]:
    """For each stage the keys of what it sees without which the source cannot be given back: no copies, nothing new."""
    found: list[set[str]] = []
    keys = set(stages[0].before.entries) if stages else set()
    for stage in stages:
        found.append(keys)
        plain: dict[str | None, str] = {}
        for key, entry in stage.after.entries.items():
            name = name_of(entry.expr)
            if name not in plain or stage.before.entries.get(key) is not None:
                plain[name] = key
        names = {name_of(stage.before.entries[key].expr) for key in keys}
        keys = {key for name, key in plain.items() if name is not None and name in names}
        parts = names - plain.keys()
        computed = ((key, {name_of(leaf) for leaf in leaves(e.expr)}) for key, e in stage.after.entries.items())
        keys |= {key for key, made_of in computed if made_of & parts}
    return found


def only_what_stays(stages: Sequence[Stage]) -> list[Stage]:
    """The stages without the tensors that do not reach the last result, not even as a part of something."""
    found: list[Stage] = []
    alive = set(stages[-1].after.entries) if stages else set()
    for stage, keys in zip(reversed(stages), reversed(needed(stages)), strict=True):
        after = _only(stage.after, alive)
        names = {name_of(leaf) for entry in after.entries.values() for leaf in leaves(entry.expr)}
        used = {origin.key for entry in after.entries.values() for origin in entry.origins}
        # of equal tensors that are not tied, a copy that was lost on the way is not missed
        alive = {
            key
            for key, entry in stage.before.entries.items()
            if name_of(entry.expr) in names and (key in used or key in keys)
        }
        found.insert(0, dataclasses.replace(stage, before=_only(stage.before, alive), after=after))
    return found


def _only(subject: Subject, keys: Collection[str]) -> Subject:
    return subject.replace(entries={key: entry for key, entry in subject.entries.items() if key in keys})
