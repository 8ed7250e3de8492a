"""``init``: new initial values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import SurgeryError
from surgery.fields import main, rules
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.selecting import RuleSet
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.expr import TensorExpr
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Init"]


@STEPS.register("init")
@dataclass(frozen=True, slots=True)
class Init(Step):
    """Give tensors new initial values, by a function of ``torch.nn.init``: those whose names end in ``_``.

    Values are drawn from the recipe's seed and the key, in float32, and cast to the tensor's dtype. For each key the
    first rule that selects it applies; tied tensors stay tied, and are drawn once, for the first of their keys.
    """

    example: ClassVar[str] = 'init: "classifier.1.weight -> trunc_normal_(std=0.02)"'

    rules: tuple[Rule, ...] = main(rules("init"))

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with initialisers in the place of what was there."""
        from surgery.model.initialisers import bind_initialiser, initial

        try:
            bound = [bind_initialiser(rule) for rule in self.rules]
        except SurgeryError as error:
            context.diagnostics.extend(error.diagnostics)
            return subject
        chosen = RuleSet.of_rules(self.rules, subject, context)
        made: dict[int, tuple[str, TensorExpr]] = {}
        entries = dict(subject.entries)
        failed: set[int] = set()
        for key, entry in subject.entries.items():
            first = chosen.first(key, entry)
            if first is None:
                continue
            rule, initialiser = self.rules[first[0]], bound[first[0]]
            if id(entry.expr) not in made:
                try:
                    made[id(entry.expr)] = (key, initial(initialiser, key, entry.spec, context.seed, rule))
                except SurgeryError as error:
                    if first[0] not in failed:
                        context.diagnostics.extend(error.diagnostics)
                    failed.add(first[0])
        chosen.finish()
        for key, entry in subject.entries.items():
            if id(entry.expr) in made:
                entries[key] = self._entry(key, entry, made[id(entry.expr)], context)
        return subject.replace(entries=entries)

    def _entry(self, key: str, entry: Entry, made: tuple[str, TensorExpr], context: Context) -> Entry:
        first, expr = made
        touch = Touch(
            "init", f"{key}: new values" + (f", those of {first}" if first != key else ""), context.here, True
        )
        context.drop(entry, touch)
        replaces = entry.origins or entry.replaces
        return Entry(expr, (), (touch,), entry.kind, entry.requires_grad, entry.device, replaces)
