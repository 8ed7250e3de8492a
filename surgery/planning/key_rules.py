"""What can be said against key rules before any key is known: what a step does not do, operations that do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from surgery.diagnostics import Diagnostic
from surgery.lang.rule import Join, Rule
from surgery.planning.convert import check_conversion

__all__ = ["check_computing_rules", "check_moving_rules", "only_moves"]


def only_moves(rule: Rule) -> bool:
    """Whether a rule gives one key for one key, and computes nothing."""
    return not rule.right.operations and not rule.right.listed and not isinstance(rule.left, Join)


def check_moving_rules(rules: Sequence[Rule], step: str) -> Iterator[Diagnostic]:
    """The errors of rules that would do more than to give a new key."""
    for rule in rules:
        if rule.right.operations:
            span = rule.span_of(rule.right.operations[0].at)
            message = f"`{step}` gives new keys and computes nothing; operations stand in `convert` (and in `copy`)"
            yield Diagnostic("rule-syntax", message, span)
        elif isinstance(rule.left, Join):
            yield Diagnostic("rule-syntax", f"`{step}` does not join selectors; `convert` does", rule.span)
        elif rule.right.listed:
            at = rule.right.templates[0].at
            yield Diagnostic("rule-syntax", f"`{step}` gives one key for one key, and not a list", rule.span_of(at))


def check_computing_rules(rules: Sequence[Rule]) -> Iterator[Diagnostic]:
    """The errors of rules whose operations do not exist, are called wrongly, or leave their results without keys."""
    for rule in rules:
        if not only_moves(rule):
            yield from check_conversion(rule)
