"""``untie``: tied tensors become tensors of their own. The counterpart of ``tie``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from surgery.diagnostics import fail
from surgery.fields import main, selection
from surgery.lang import Selection
from surgery.planning.context import Context
from surgery.planning.selecting import select_keys
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.expr import detach
from surgery.tensors.subject import Subject, Touch
from surgery.wording import listed

__all__ = ["Untie"]


@STEPS.register("untie")
@dataclass(frozen=True, slots=True)
class Untie(Step):
    """Make tied keys tensors of their own: of equal values, to be trained apart. The counterpart of `tie`.

    The keys that are not selected stay tied to each other; where all of them are selected, the first keeps its tensor.
    What is tied because its module is shared, under two paths, cannot be untied.
    """

    example: ClassVar[str] = 'untie: "lm_head.weight"'

    select: Selection = main(selection, help="the keys")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with the selected keys untied."""
        selected = set(select_keys(self.select, subject, context))
        entries = dict(subject.entries)
        for names in subject.ties():
            chosen = [name for name in names if name in selected]
            leaving = chosen[1:] if len(chosen) == len(names) else chosen
            for name in leaving:
                others = [other for other in names if other != name]
                self._refuse_shared_modules(name, others, subject)
                touch = Touch("untie", f"{name}: no longer {listed(others)}", context.here)
                entries[name] = replace(entries[name].touched(touch), expr=detach(entries[name].expr))
        if selected and entries == dict(subject.entries):
            context.report("unused-rule", "nothing that this selects is tied", self.select.items[0].span)
        return subject.replace(entries=entries)

    def _refuse_shared_modules(self, name: str, others: list[str], subject: Subject) -> None:
        """Raise where a key is another one by the module that holds both."""
        if subject.skeleton is None:
            return
        path = name.rpartition(".")[0]
        same = [
            key for key in others if subject.skeleton.modules[key.rpartition(".")[0]] is subject.skeleton.modules[path]
        ]
        if same:
            message = f"`{name}` and {listed(same)} are one tensor of one module, which stands in two places"
            raise fail("tie", message, self.select.items[0].span, ("`replace_layer` gives one of them another layer",))
