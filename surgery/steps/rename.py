"""``rename``: new keys, the same tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import Diagnostic
from surgery.fields import main, one_of, option, rules
from surgery.lang.expression import EvaluationError
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.failures import Failures
from surgery.planning.key_rules import check_moving_rules
from surgery.planning.keys import KeyWriter, NewKeys, evaluation_error, unselected
from surgery.planning.selecting import RuleSet
from surgery.planning.ties import remark_parted_names
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Rename"]


@STEPS.register("rename")
@dataclass(frozen=True, slots=True)
class Rename(Step):
    """Give tensors new keys: one key to one key, the tensors untouched.

    All rules see the keys as they were before the step, so ``a -> b, b -> a`` swaps. For each key the first rule that
    selects it applies. Two tensors on one key are an error. A model becomes a bare state dict.
    """

    example: ClassVar[str] = 'rename: "module.** -> **"'

    rules: tuple[Rule, ...] = main(rules("key"))
    rest: str = option(
        one_of("keep", "drop", "error"), default="keep", help="what becomes of keys that no rule selects"
    )

    def check(self) -> Iterable[Diagnostic]:
        """Operations, joins and lists, which belong to `convert`."""
        return check_moving_rules(self.rules, "rename")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject under its new keys."""
        chosen = RuleSet.of_rules(self.rules, subject, context)
        new_keys = [NewKeys(rule) for rule in self.rules]
        spans = [rule.span for rule in self.rules]
        writer, failures = KeyWriter(context, "rename"), Failures(context)
        renamed: dict[str, str] = {}
        left: list[str] = []
        for key, entry in subject.entries.items():
            found = chosen.first(key, entry)
            if found is None:
                left.append(key)
                self._keep(key, entry, writer, context)
                continue
            number, path, match = found
            try:
                new = new_keys[number].of(path, match)
            except EvaluationError as error:
                failures.add(evaluation_error(error, self.rules[number], key))
                continue
            if new != key:
                entry = entry.touched(Touch("rename", f"{key} -> {new}", spans[number]))
                renamed[key] = new
            writer.put(new, entry, key, spans[number])
        for part in (chosen, failures, writer):
            part.finish()
        remark_parted_names(subject, renamed, context)
        if self.rest == "error" and left:
            unselected(left, context)
        return subject.bare(writer.entries)

    def _keep(self, key: str, entry: Entry, writer: KeyWriter, context: Context) -> None:
        if self.rest == "drop":
            context.drop(entry, Touch("rename", f"{key}: no rule selects it, and `rest` is drop", context.here))
        else:
            writer.put(key, entry, key)
