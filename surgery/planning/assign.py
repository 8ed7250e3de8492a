"""Which keys each rule of a step takes: of rules that compute, and may join several selectors."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from surgery.lang.rule import Join, Rule
from surgery.lang.selector import Guarded, Selector
from surgery.planning.context import Context
from surgery.planning.gather import Taken
from surgery.planning.selecting import Choice, RuleSet, type_test
from surgery.tensors.subject import Subject
from surgery.wording import listed

__all__ = ["Assignment", "selectors_of"]


def selectors_of(rule: Rule) -> tuple[Selector, ...]:
    """The selectors of a rule; the condition of a join goes to the first one."""
    if not isinstance(rule.left, Join):
        return (rule.left,)
    if rule.left.condition is None:
        return rule.left.selectors
    first, *others = rule.left.selectors
    return (Guarded(first, rule.left.condition), *others)


class Assignment:
    """The keys that each selector of each rule takes.

    With `exclusive` the first rule that selects a key has it. A join has only what finds its partners, so a key that a
    join selects may go to a later rule all the same; :meth:`waiting` says what is left for a rule.
    """

    def __init__(self, rules: Sequence[Rule], subject: Subject, context: Context, *, exclusive: bool) -> None:
        self._rules = rules
        self._context = context
        self._owners = [(n, place) for n, rule in enumerate(rules) for place in range(len(selectors_of(rule)))]
        self._choices = [Choice(rule, selector) for rule in rules for selector in selectors_of(rule)]
        joins = [isinstance(rule.left, Join) for rule in rules]
        for (number, _), choice in zip(self._owners, self._choices, strict=True):
            if joins[number]:
                choice.count = None
        self._set = RuleSet(self._choices, list(subject.entries), context, types=type_test(subject))
        self._taken: list[list[list[Taken]]] = [[[] for _ in selectors_of(rule)] for rule in rules]
        self._consumed: dict[int, set[str]] = {}
        for key, entry in subject.entries.items():
            for index, path, match in self._set.selecting(key, entry):
                number, place = self._owners[index]
                self._taken[number][place].append(Taken(key, path, match))
                if exclusive and not joins[number]:
                    break

    def waiting(self, number: int, keys: Collection[str]) -> list[list[Taken]]:
        """What each selector of a rule takes of `keys`, those that no earlier rule has taken."""
        self._taken[number] = [[t for t in taken if t.key in keys] for taken in self._taken[number]]
        return self._taken[number]

    def consume(self, number: int, keys: Collection[str]) -> None:
        """Note which keys a rule has gathered, whatever came of it."""
        self._consumed[number] = set(keys)

    def finish(self, left: Collection[str] | None = None) -> None:
        """Report rules that took nothing, counts that are off, and keys of a join that found no partner.

        `left` are the keys that no rule has taken; None where rules take nothing away.
        """
        for (number, place), choice in zip(self._owners, self._choices, strict=True):
            choice.taken = len(self._taken[number][place])
        self._set.finish()
        for number, rule in enumerate(self._rules):
            if isinstance(rule.left, Join):
                self._finish_join(number, rule, left)

    def _finish_join(self, number: int, rule: Rule, left: Collection[str] | None) -> None:
        used = self._consumed.get(number, set())
        taken = self._taken[number]
        if rule.count is not None and len(used) != rule.count and (used or not rule.optional):
            self._context.report("wrong-count", f"this rule selects {len(used)} keys, not {rule.count}", rule.span)
        lonely = [t for others in taken[1:] for t in others if t.key not in used and (left is None or t.key in left)]
        if lonely:
            verb = "have" if len(lonely) > 1 else "has"
            absent = next((n for n, some in enumerate(taken) if not any(_agree(lonely[0], t) for t in some)), 0)
            keys = listed([t.key for t in lonely], 1)
            message = f"{keys} {verb} no partner among what `{rule.left.selectors[absent]}` selects"
            self._context.report("incomplete-group", message, rule.span)
        elif not used and all(taken) and not rule.optional:
            message = f"this rule joins nothing: `{taken[0][0].key}` has no partner, nor has any other key"
            self._context.report("unused-rule", message, rule.span)


def _agree(one: Taken, other: Taken) -> bool:
    """Whether two keys have the same of all captures that they share, and carry the same over."""
    mine, others = one.match.captures, other.match.captures
    return one.match.rest == other.match.rest and all(mine[name] == others[name] for name in mine.keys() & others)
