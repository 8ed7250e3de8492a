"""``freeze`` and ``unfreeze``: which parameters are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import main, selection
from surgery.lang import Selection
from surgery.planning.context import Context
from surgery.planning.selecting import select_keys
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Subject, Touch

__all__ = ["Freeze", "set_trained"]


@STEPS.register("freeze")
@dataclass(frozen=True, slots=True)
class Freeze(Step):
    """Make parameters keep their values in training: `requires_grad` becomes False.

    Buffers among the selected keys are left as they are. A tied parameter is one tensor: all its names are frozen.
    """

    example: ClassVar[str] = 'freeze: "** except fc"'
    keeps_tensors: ClassVar[bool] = True

    select: Selection = main(selection, help="the parameters")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with frozen parameters."""
        return set_trained("freeze", self.select, subject, context, trained=False)


def set_trained(step: str, wanted: Selection, subject: Subject, context: Context, *, trained: bool) -> Subject:
    """The subject with `requires_grad` set for the parameters that are selected, under each of their names."""
    keys = select_keys(wanted, subject, context)
    chosen = {id(subject.entries[key].expr) for key in keys if subject.entries[key].kind != "buffer"}
    if keys and not chosen:
        span = wanted.items[0].span
        context.report("unused-rule", "this selects buffers only, and only parameters are trained", span)
    entries = dict(subject.entries)
    selected = set(keys)
    for key, entry in subject.entries.items():
        if id(entry.expr) not in chosen or entry.kind == "buffer":
            continue
        if key not in selected:
            context.remarks.append(f"`{key}` is tied to what `{step}` selects, and goes along")
        if entry.requires_grad is not trained:
            touch = Touch(step, f"{key}: {'trained' if trained else 'frozen'}", context.here)
            entries[key] = entry.touched(touch, requires_grad=trained)
    return subject.replace(entries=entries)
