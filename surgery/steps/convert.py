"""``convert``: tensors computed from tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import SurgeryError
from surgery.fields import main, one_of, option, rules
from surgery.lang.expression import EvaluationError
from surgery.lang.rule import Join, Rule
from surgery.planning.context import Context
from surgery.planning.convert import Conversion
from surgery.planning.keys import KeyWriter, NewKeys, report_evaluation, unselected
from surgery.planning.selecting import RuleSet
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Entry, Subject, Touch


@STEPS.register("convert")
@dataclass(frozen=True, slots=True)
class Convert(Step):
    """Compute tensors from tensors, and consume what was selected.

    ``… via op | op``. An index on the left only gathers, one on the right only scatters. A rule without ``via`` moves,
    as ``rename`` does. The first rule that selects a key applies. ``[a, b]`` on the left joins selectors on the
    captures they share; on the right it lists results. A model becomes a bare state dict.
    """

    example: ClassVar[str] = 'convert: "blocks.{i}.attn.qkv -> layer.{i}.(query|key|value) via chunk(dim=0)"'

    rules: tuple[Rule, ...] = main(rules("key"))
    rest: str = option(
        one_of("keep", "drop", "error"), default="keep", help="what becomes of keys that no rule selects"
    )

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with what was computed in the place of what was consumed."""
        waiting: dict[str, Entry] = dict(subject.entries)
        made: dict[str, list[tuple[str, Entry, list[str], Rule]]] = {}
        for rule in self.rules:
            try:
                found = self._apply_rule(rule, subject.replace(entries=waiting), context)
            except SurgeryError as error:
                context.diagnostics.extend(error.diagnostics)
                continue
            for key, entry, sources in found:
                made.setdefault(sources[0], []).append((key, entry, sources, rule))
                for source in sources:
                    waiting.pop(source, None)
        return subject.bare(self._written(subject, made, waiting, context))

    def _apply_rule(self, rule: Rule, subject: Subject, context: Context) -> list[tuple[str, Entry, list[str]]]:
        if not rule.right.operations and not rule.right.listed and not isinstance(rule.left, Join):
            return _moved(rule, subject, context)
        conversion = Conversion(rule, subject, context, step="convert")
        results = list(conversion.results(subject.entries))
        conversion.finish()
        return results

    def _written(
        self,
        subject: Subject,
        made: dict[str, list[tuple[str, Entry, list[str], Rule]]],
        waiting: dict[str, Entry],
        context: Context,
    ) -> dict[str, Entry]:
        """All entries in the order of the source: a result stands where its first source stood."""
        writer = KeyWriter(context, "convert")
        left = []
        for key, entry in subject.entries.items():
            for new, result, sources, rule in made.get(key, ()):
                writer.put(new, result, ", ".join(sources), rule.span)
            if key in waiting:
                left.append(key)
                if self.rest == "drop":
                    context.drop(entry, Touch("convert", f"{key}: no rule selects it, and `rest` is drop"))
                else:
                    writer.put(key, entry, key)
        writer.finish()
        if self.rest == "error" and left:
            unselected(left, "convert", None, context)
        return writer.entries


def _moved(rule: Rule, subject: Subject, context: Context) -> list[tuple[str, Entry, list[str]]]:
    """A rule without operations moves."""
    chosen = RuleSet.of_rules([rule], subject, context)
    new_keys = NewKeys(rule)
    moved = []
    for key, entry in subject.entries.items():
        found = chosen.first(key, entry)
        if found is None:
            continue
        try:
            new = new_keys.of(key, found[1], found[2])
        except EvaluationError as error:
            report_evaluation(error, rule, key, context)
            continue
        moved.append((new, entry.touched(Touch("convert", f"{key} -> {new}", rule.span)), [key]))
    chosen.finish()
    return moved
