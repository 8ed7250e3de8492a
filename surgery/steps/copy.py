"""``copy``: new keys beside the old ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import SurgeryError
from surgery.fields import main, rules
from surgery.lang.expression import EvaluationError
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.convert import Conversion
from surgery.planning.keys import KeyWriter, NewKeys, report_evaluation
from surgery.planning.selecting import RuleSet
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.expr import detach
from surgery.tensors.subject import Subject, Touch


@STEPS.register("copy")
@dataclass(frozen=True, slots=True)
class Copy(Step):
    """Copy tensors to new keys; the originals stay.

    Every rule applies to every key it selects. A copy is a tensor of its own: it is not tied to the original (``tie``
    does that). With ``via`` it is computed, as in ``convert``. A model becomes a bare state dict.
    """

    example: ClassVar[str] = 'copy: "model.layers.{i:int} if 8 <= i < 24 -> tail.layers.{i + 16}"'

    rules: tuple[Rule, ...] = main(rules("key"))

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with the copies after its own tensors."""
        writer = KeyWriter(context, "copy")
        for key, entry in subject.entries.items():
            writer.put(key, entry, key)
        for rule in self.rules:
            if rule.right.operations:
                self._compute(rule, subject, writer, context)
            else:
                self._copy(rule, subject, writer, context)
        writer.finish()
        return subject.bare(writer.entries)

    def _copy(self, rule: Rule, subject: Subject, writer: KeyWriter, context: Context) -> None:
        chosen = RuleSet.of_rules([rule], subject, context)
        new_keys = NewKeys(rule)
        for key, entry in subject.entries.items():
            found = chosen.first(key, entry)
            if found is None:
                continue
            try:
                new = new_keys.of(key, found[1], found[2])
            except EvaluationError as error:
                report_evaluation(error, rule, key, context)
                continue
            touch = Touch("copy", f"{key} -> {new}", rule.span)
            writer.put(new, entry.touched(touch, expr=detach(entry.expr)), key, rule.span)
        chosen.finish()

    def _compute(self, rule: Rule, subject: Subject, writer: KeyWriter, context: Context) -> None:
        try:
            conversion = Conversion(rule, subject, context, step="copy")
        except SurgeryError as error:
            context.diagnostics.extend(error.diagnostics)
            return
        for key, entry, sources in conversion.results(subject.entries):
            writer.put(key, entry, ", ".join(sources), rule.span)
        conversion.finish()
