"""``convert``: tensors computed from tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import Diagnostic, Span, SurgeryError
from surgery.fields import main, one_of, option, rules
from surgery.lang.rule import Rule
from surgery.planning.assign import Assignment
from surgery.planning.context import Context
from surgery.planning.convert import Conversion, Made, Move
from surgery.planning.failures import Failures
from surgery.planning.key_rules import check_computing_rules, only_moves
from surgery.planning.keys import KeyWriter, unselected
from surgery.planning.ties import remark_broken_ties
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Convert"]


@STEPS.register("convert")
@dataclass(frozen=True, slots=True)
class Convert(Step):
    """Compute tensors from tensors, and consume what was selected.

    ``… via op | op``. An index on the left only gathers, one on the right only scatters. A rule without ``via`` moves,
    as ``rename`` does. The first rule that selects a key applies. ``[a, b]`` on the left joins selectors on the
    captures they share; on the right it lists results. Keys of the first selector of a join without partners are left
    alone; keys of the others that no rule has taken are an error. A model becomes a bare state dict.
    """

    example: ClassVar[str] = 'convert: "blocks.{i}.attn.qkv -> layer.{i}.(query|key|value) via chunk(dim=0)"'

    rules: tuple[Rule, ...] = main(rules("key"))
    rest: str = option(
        one_of("keep", "drop", "error"), default="keep", help="what becomes of keys that no rule selects"
    )

    def check(self) -> Iterable[Diagnostic]:
        """Operations that do not exist or are called wrongly."""
        return check_computing_rules(self.rules)

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with what was computed in the place of what was consumed."""
        waiting = dict(subject.entries)
        failures = Failures(context)
        assignment = Assignment(self.rules, subject, context, exclusive=True)
        by_source: dict[str, list[tuple[Made, Span | None]]] = {}
        for number, rule in enumerate(self.rules):
            try:
                made = _made(number, rule, assignment, subject.replace(entries=waiting), failures, context)
            except SurgeryError as error:
                context.diagnostics.extend(error.diagnostics)
                continue
            span = rule.span
            for one in made:
                by_source.setdefault(one.sources[0], []).append((one, span))
            for source in {source for one in made for source in one.sources}:
                del waiting[source]
        assignment.finish(waiting.keys())
        failures.finish()
        after = self._written(subject, by_source, waiting, context)
        remark_broken_ties(subject, _outcome(by_source, waiting), context, "convert")
        return subject.bare(after)

    def _written(
        self,
        subject: Subject,
        by_source: Mapping[str, Sequence[tuple[Made, Span | None]]],
        waiting: Mapping[str, Entry],
        context: Context,
    ) -> dict[str, Entry]:
        """All entries in the order of the source: a result stands where its first source stood."""
        writer = KeyWriter(context, "convert")
        for key, entry in subject.entries.items():
            for one, span in by_source.get(key, ()):
                writer.put(one.key, one.entry, ", ".join(one.sources), span)
            if key in waiting:
                if self.rest == "drop":
                    touch = Touch("convert", f"{key}: no rule selects it, and `rest` is drop", context.here)
                    context.drop(entry, touch)
                else:
                    writer.put(key, entry, key)
        writer.finish()
        if self.rest == "error" and waiting:
            unselected(list(waiting), context)
        return writer.entries


def _made(
    number: int, rule: Rule, assignment: Assignment, subject: Subject, failures: Failures, context: Context
) -> list[Made]:
    """What a rule makes of the keys that are waiting in `subject`.

    Raises:
        SurgeryError: its operations are unknown or wrongly called.
    """
    taken = assignment.waiting(number, subject.entries)
    if only_moves(rule):
        return list(Move(rule, failures, step="convert").results(taken, subject.entries))
    conversion = Conversion(rule, failures, step="convert")
    made = list(conversion.results(taken, subject.entries, context))
    assignment.consume(number, conversion.gathered)
    return made


def _outcome(
    by_source: Mapping[str, Sequence[tuple[Made, Span | None]]], waiting: Mapping[str, Entry]
) -> dict[str, frozenset[int]]:
    """For each key, the tensors (by identity) that it is in after the step."""
    outcome = {key: {id(entry.expr)} for key, entry in waiting.items()}
    for results in by_source.values():
        for one, _ in results:
            for source in one.sources:
                outcome.setdefault(source, set()).add(id(one.entry.expr))
    return {key: frozenset(tensors) for key, tensors in outcome.items()}
