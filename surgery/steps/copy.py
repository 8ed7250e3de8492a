"""``copy``: new keys beside the old ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.fields import main, rules
from surgery.lang.rule import Rule
from surgery.planning.assign import Assignment
from surgery.planning.context import Context
from surgery.planning.convert import Conversion, Made, Move
from surgery.planning.failures import Failures
from surgery.planning.key_rules import check_computing_rules, only_moves
from surgery.planning.keys import KeyWriter
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.expr import TensorExpr, detach
from surgery.tensors.subject import Subject

__all__ = ["Copy"]


@STEPS.register("copy")
@dataclass(frozen=True, slots=True)
class Copy(Step):
    """Copy tensors to new keys; the originals stay.

    Every rule applies to every key it selects. A copy is a tensor of its own: it is not tied to the original (``tie``
    does that); what is tied and copied together is tied in the copy too. With ``via`` it is computed, as in
    ``convert``. A model becomes a bare state dict.
    """

    example: ClassVar[str] = 'copy: "model.layers.{i:int} if 8 <= i < 24 -> tail.layers.{i + 16}"'

    rules: tuple[Rule, ...] = main(rules("key"))

    def check(self) -> Iterable[Diagnostic]:
        """Operations that do not exist or are called wrongly."""
        return check_computing_rules(self.rules)

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with the copies after its own tensors."""
        writer, failures = KeyWriter(context, "copy"), Failures(context)
        for key, entry in subject.entries.items():
            writer.put(key, entry, key)
        assignment = Assignment(self.rules, subject, context, exclusive=False)
        for number, rule in enumerate(self.rules):
            try:
                copies = self._made(number, rule, assignment, subject, failures, context)
            except SurgeryError as error:
                context.diagnostics.extend(error.diagnostics)
                continue
            span = rule.span
            for made in copies:
                writer.put(made.key, made.entry, ", ".join(made.sources), span)
        for part in (assignment, failures, writer):
            part.finish()
        return subject.bare(writer.entries)

    def _made(
        self, number: int, rule: Rule, assignment: Assignment, subject: Subject, failures: Failures, context: Context
    ) -> list[Made]:
        """The copies that a rule makes."""
        taken = assignment.waiting(number, subject.entries)
        if only_moves(rule):
            return list(_detached(Move(rule, failures, step="copy").results(taken, subject.entries)))
        conversion = Conversion(rule, failures, step="copy")
        made = list(conversion.results(taken, subject.entries, context))
        assignment.consume(number, conversion.gathered)
        return made


def _detached(copies: Iterable[Made]) -> Iterator[Made]:
    """The copies as tensors of their own, tied among each other where the originals are."""
    own: dict[int, TensorExpr] = {}
    for made in copies:
        expr = made.entry.expr
        yield Made(made.key, replace(made.entry, expr=own.setdefault(id(expr), detach(expr))), made.sources)
