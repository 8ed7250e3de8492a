"""The rules of one step at work on the keys of a subject, and what is said of rules that stay idle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from surgery.diagnostics import Span
from surgery.lang.expression import EvaluationError
from surgery.lang.facts import Facts
from surgery.lang.path import Path
from surgery.lang.match import Match
from surgery.lang.pattern import TypeTest
from surgery.lang.render import split_key
from surgery.lang.rule import Rule
from surgery.lang.select import SelectorIndex
from surgery.lang.selector import Except, Guarded, Item, Selection, Selector, Union, paths
from surgery.planning.context import Context
from surgery.planning.idle import idle_path, idle_rule
from surgery.tensors.subject import Entry, Subject

__all__ = ["Choice", "RuleSet", "facts_of", "select_keys", "type_test"]


def facts_of(key: str, entry: Entry) -> Facts:
    """What a guard may ask of an entry."""
    return Facts(key, entry.spec, entry.kind)


def type_test(subject: Subject) -> TypeTest | None:
    """The test for ``[Type]`` on this subject; None on a bare state dict."""
    skeleton = subject.skeleton
    if skeleton is None:
        return None
    return lambda segments, names: skeleton.is_a(".".join(segments), names)


class Choice:
    """What a rule (or an item of a selection) is to a `RuleSet`: a selector, with its place and its options."""

    __slots__ = ("count", "optional", "selector", "source", "taken")

    def __init__(self, of: Rule | Item, selector: Selector) -> None:
        self.selector = selector
        self.source = of.source
        self.optional = of.optional
        self.count = of.count if isinstance(of, Rule) else None
        self.taken = 0

    def span_of(self, at: tuple[int, int]) -> Span | None:
        """The place of some characters."""
        return self.source.span(*at) if self.source else None

    @property
    def span(self) -> Span | None:
        """The place of the whole."""
        return self.source.span(0, len(self.source.value)) if self.source else None


class RuleSet:
    """Rules in order against keys. `finish` reports what stayed idle and counts that are off."""

    def __init__(
        self,
        choices: Sequence[Choice],
        keys: Sequence[str],
        context: Context,
        *,
        types: TypeTest | None,
        exact: bool = False,
    ) -> None:
        self.choices = list(choices)
        self._keys = keys
        self._context = context
        self._index = SelectorIndex([c.selector for c in self.choices], types=types, exact=exact)
        self._types = types
        self._exact = exact
        self._broken = False
        if types is None:
            self._refuse_types()

    @classmethod
    def of_rules(cls, rules: Sequence[Rule], subject: Subject, context: Context) -> RuleSet:
        """The rules of a step on keys."""
        choices = [Choice(rule, rule.left) for rule in rules]
        return cls(choices, list(subject.entries), context, types=type_test(subject))

    @classmethod
    def of_selection(cls, selection: Selection, subject: Subject, context: Context) -> RuleSet:
        """The items of a selection on keys."""
        choices = [Choice(item, item.selector) for item in selection.items]
        return cls(choices, list(subject.entries), context, types=type_test(subject))

    def selecting(self, key: str, facts: Facts) -> Iterator[tuple[int, Path, Match]]:
        """The rules that take a key, in order."""
        if self._broken:
            return
        try:
            for number, path, match in self._index.selecting(split_key(key), facts):
                self.choices[number].taken += 1
                yield number, path, match
        except EvaluationError as error:
            self._broken = True
            choice = next(c for c in self.choices if _holds_guard(c.selector))
            span = choice.span_of(error.expression.at)
            self._context.report("guard", f"{error} (for the key `{key}`)", span)

    def first(self, key: str, facts: Facts) -> tuple[int, Path, Match] | None:
        """The first rule that takes a key."""
        return next(self.selecting(key, facts), None)

    def finish(self, *, branches: bool = True) -> None:
        """Report rules that took nothing, branches and exceptions that never matched, and counts that are off."""
        if self._broken:
            return
        for number, choice in enumerate(self.choices):
            if choice.count is not None and choice.taken != choice.count and (choice.taken or not choice.optional):
                noun = "modules" if self._exact else "keys"
                message = f"this rule selects {choice.taken} {noun}, not {choice.count}"
                self._context.report("wrong-count", message, choice.span)
            elif choice.optional:
                continue
            elif not choice.taken:
                self._report_idle(number, choice)
            elif branches and isinstance(choice.selector, Union | Except | Guarded):
                for path in self._index.idle(choice.selector):
                    self._report_branch(choice, path)

    def _report_idle(self, number: int, choice: Choice) -> None:
        before = Counter[int]()
        alone = SelectorIndex([choice.selector], types=self._types, exact=self._exact)
        everyone = SelectorIndex([c.selector for c in self.choices[:number]], types=self._types, exact=self._exact)
        for key in self._keys:
            segments = split_key(key)
            # guards were evaluated before; without the tensor at hand only paths are compared here
            if any(
                alone.pattern(path).match(segments, self._types, exact=self._exact) for path in paths(choice.selector)
            ):
                taker = next(
                    (
                        i
                        for i, c in enumerate(self.choices[:number])
                        for p in paths(c.selector)
                        if everyone.pattern(p).match(segments, self._types, exact=self._exact)
                    ),
                    None,
                )
                before[-1 if taker is None else taker] += 1
        self._context.diagnostics.append(idle_rule(choice, self.choices, before, self._keys, exact=self._exact))

    def _report_branch(self, choice: Choice, path: Path) -> None:
        self._context.diagnostics.append(idle_path(choice, path, self._keys, exact=self._exact))

    def _refuse_types(self) -> None:
        for choice in self.choices:
            for path in paths(choice.selector):
                for segment in path.segments:
                    if segment.types:
                        self._broken = True
                        message = (
                            f"`[{'|'.join(segment.types)}]` asks for a class, and a bare state dict has no modules"
                        )
                        note = (
                            "types need a model: `source: {torchvision: …}`; steps such as `rename` leave a state dict"
                        )
                        self._context.report("types-need-a-model", message, choice.span_of(segment.at), (note,))


def _holds_guard(selector: Selector) -> bool:
    match selector:
        case Guarded():
            return True
        case Union(operands=operands):
            return any(map(_holds_guard, operands))
        case Except(base=base, minus=minus):
            return _holds_guard(base) or _holds_guard(minus)
    return False


def select_keys(selection: Selection, subject: Subject, context: Context) -> list[str]:
    """The keys that a selection takes, in order; idle items are reported."""
    rules = RuleSet.of_selection(selection, subject, context)
    found = []
    for key, entry in subject.entries.items():
        numbers = [number for number, _, _ in rules.selecting(key, facts_of(key, entry))]
        if numbers:
            found.append(key)
    rules.finish()
    return found
