"""``tie``: one tensor under several keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import main, rules
from surgery.lang.expression import EvaluationError
from surgery.lang.rule import KeyTarget, Rule
from surgery.planning.context import Context
from surgery.planning.keys import NewKeys, evaluation_error
from surgery.planning.selecting import RuleSet
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.suggest import did_you_mean
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Tie"]


@STEPS.register("tie")
@dataclass(frozen=True, slots=True)
class Tie(Step):
    """Make keys one tensor: what the left side selects takes the tensor under the key on the right side.

    Shapes and dtypes are equal. What stood under the left key goes; a key that is not there yet is made with ``copy``
    first. In a model both names are then one parameter.
    """

    example: ClassVar[str] = 'tie: "lm_head.weight -> embed.weight"'

    rules: tuple[Rule, ...] = main(rules("tie"))

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with the keys tied."""
        targets = self._targets(subject, context)
        entries = dict(subject.entries)
        for key, (target, rule) in targets.items():
            entry, other = subject.entries[key], subject.entries.get(target)
            if other is None:
                near = did_you_mean(target, subject.entries)
                context.report(
                    "tie", f"there is no key `{target}` to tie `{key}` to", rule.span, (near,) if near else ()
                )
            elif problem := _problem(key, target, entry, other, targets):
                context.report("tie", problem, rule.span)
            elif entry.expr is other.expr:
                context.remarks.append(f"`{key}` is tied to `{target}` already")
            else:
                touch = Touch("tie", f"{key} is {target}", rule.span)
                context.drop(entry, Touch("tie", f"{key}: its own tensor goes", rule.span))
                entries[key] = Entry(
                    other.expr, other.origins, (*other.trail, touch), entry.kind, other.requires_grad, other.device
                )
        return subject.replace(entries=entries)

    def _targets(self, subject: Subject, context: Context) -> dict[str, tuple[str, Rule]]:
        """key -> the key that it is tied to, and the rule that says so."""
        chosen = RuleSet.of_rules(self.rules, subject, context)
        new_keys = [NewKeys(_as_key_rule(rule)) for rule in self.rules]
        found: dict[str, tuple[str, Rule]] = {}
        for key, entry in subject.entries.items():
            first = chosen.first(key, entry)
            if first is None:
                continue
            number, path, match = first
            try:
                found[key] = (new_keys[number].of(path, match), self.rules[number])
            except EvaluationError as error:
                context.diagnostics.append(evaluation_error(error, self.rules[number], key))
        chosen.finish()
        return found


def _as_key_rule(rule: Rule) -> Rule:
    return Rule(rule.left, KeyTarget((rule.right,)), source=rule.source)


def _problem(key: str, target: str, entry: Entry, other: Entry, targets: dict[str, tuple[str, Rule]]) -> str | None:
    """What keeps two keys from being one tensor."""
    if key == target:
        return f"`{key}` would be tied to itself"
    if target in targets:
        return f"`{target}` is itself tied to another key by this step"
    if entry.spec != other.spec:
        return f"`{key}` is {entry.spec} and `{target}` {other.spec}: one tensor cannot be both"
    if None not in (entry.kind, other.kind) and entry.kind != other.kind:
        return f"`{key}` is a {entry.kind} and `{target}` a {other.kind}"
    return None
