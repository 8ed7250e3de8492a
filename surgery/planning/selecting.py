"""The rules of one step at work on the keys of a subject, and what is said of rules that stay idle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from surgery.diagnostics import Span
from surgery.lang.ambiguity import Outcome, another_way, outcome
from surgery.lang.facts import Facts
from surgery.lang.match import Match
from surgery.lang.path import Path
from surgery.lang.pattern import TypeTest
from surgery.lang.rule import Rule
from surgery.lang.select import GuardError, SelectorIndex
from surgery.lang.selector import Except, Guarded, Item, Selection, Selector, Union, included_paths, paths
from surgery.planning.context import Context
from surgery.planning.idle import idle_path, idle_rule
from surgery.planning.prefixes import prefix_hint
from surgery.tensors.subject import Entry, Subject

if TYPE_CHECKING:
    from surgery.model.skeleton import Skeleton

__all__ = ["Choice", "RuleSet", "facts_of", "select_keys", "type_test"]


def facts_of(key: str, entry: Entry) -> Facts:
    """What a guard may ask of an entry."""
    return Facts(key, entry.spec, entry.kind)


def type_test(subject: Subject) -> TypeTest | None:
    """The test for ``[Type]`` on this subject; None on a bare state dict."""
    return None if subject.skeleton is None else ModelTypes(subject.skeleton)


@dataclass(frozen=True, slots=True)
class ModelTypes:
    """The test for ``[Type]`` on a model, which also knows which names mean nothing there."""

    skeleton: Skeleton

    def __call__(self, segments: tuple[str, ...], names: tuple[str, ...]) -> bool:
        return self.skeleton.is_a(".".join(segments), names)

    def unknown(self, name: str) -> str | None:
        """What to say of a name that is no class; None where it is one."""
        return self.skeleton.unknown_type(name)


class Choice:
    """What a rule (or an item of a selection) is to a `RuleSet`: a selector, with its place and its options."""

    __slots__ = ("count", "noun", "optional", "outcome", "rule", "selector", "source", "taken", "watched")

    def __init__(self, of: Rule | Item, selector: Selector) -> None:
        self.selector = selector
        self.source = of.source
        self.optional = of.optional
        self.count = of.count if isinstance(of, Rule) else None
        self.noun = "rule" if isinstance(of, Rule) else "selector"
        self.taken = 0
        self.rule = of if isinstance(of, Rule) else None
        self.outcome: Outcome | None = None
        #: whether to look for keys that another way to match would give something else
        self.watched = self.rule is not None

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
        self._guarded = any(_holds_guard(choice.selector) for choice in self.choices)
        if types is None:
            self._refuse_types()
        elif isinstance(types, ModelTypes):
            self._refuse_unknown_types(types)

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

    def selecting(self, key: str, about: Facts | Entry) -> Iterator[tuple[int, Path, Match]]:
        """The rules that take a key, in order. An entry stands for its facts, which are made where a guard asks."""
        if self._broken:
            return
        facts = facts_of(key, about) if isinstance(about, Entry) else about
        try:
            for number, path, match in self._index.selecting(key.split("."), facts):
                self._take(self.choices[number], match)
                yield number, path, match
        except GuardError as error:
            self._report_guard(error, key)

    def first(self, key: str, about: Facts | Entry) -> tuple[int, Path, Match] | None:
        """The first rule that takes a key."""
        if self._broken:
            return None
        if self._guarded and isinstance(about, Entry):
            about = facts_of(key, about)
        try:
            found = self._index.first(key.split("."), about)  # type: ignore[arg-type]  # asked for by guards only
        except GuardError as error:
            self._report_guard(error, key)
            return None
        if found is not None:
            self._take(self.choices[found[0]], found[2])
        return found

    def _take(self, choice: Choice, match: Match) -> None:
        """Count a key, and warn (once for each rule) where another way to match it would give something else."""
        choice.taken += 1
        if choice.watched and match.pattern.open:
            self._watch(choice, match)

    def _watch(self, choice: Choice, match: Match) -> None:
        if choice.outcome is None and choice.rule is not None:
            choice.outcome, choice.rule = outcome(choice.rule), None
        of = choice.outcome
        other = another_way(match, of, self._types, exact=self._exact) if of else None
        if of and other:
            taken, instead = of(match)[0], of(other)[0]
            self._warn_open(choice, match, f"it becomes `{taken}`", f"another way would give `{instead}`")
        choice.watched = of is not None and other is None

    def _warn_open(self, choice: Choice, match: Match, taken: str, other: str) -> None:
        path = match.pattern.path
        message = f"`{path}` matches `{'.'.join(match.key)}` in more than one way, and it matters which"
        notes = (taken, other, "the topmost match counts, and `**` takes as little as it can")
        self._context.report("ambiguous-match", message, choice.span_of(path.at), notes, warning=True)

    def _report_guard(self, error: GuardError, key: str) -> None:
        self._broken = True
        span = self.choices[error.number].span_of(error.expression.at)
        self._context.report("guard", f"{error} (for the key `{key}`)", span)

    def finish(self, *, branches: bool = True) -> None:
        """Report rules that took nothing, branches and exceptions that never matched, and counts that are off."""
        if self._broken:
            return
        for choice in self.choices:
            for path in paths(choice.selector):
                if id(path) in self._index.doubts:
                    match, other = self._index.doubts[id(path)]
                    failed = f"the condition fails for {_taken(match)}"
                    self._warn_open(choice, match, failed, f"it would hold for {_taken(other)}")
        if self._report_prefix():
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

    def _report_prefix(self) -> bool:
        """Report many idle rules as one, where one prefix is to blame; whether it was."""
        idle = [choice for choice in self.choices if not choice.taken and not choice.optional]
        hint = (
            prefix_hint([choice.selector for choice in idle], self._keys) if len(idle) * 2 > len(self.choices) else None
        )
        if hint is not None:
            message = f"{len(idle)} rules of this step select nothing; this is the first"
            self._context.report("unused-rule", message, idle[0].span, (hint,))
        return hint is not None

    def _report_idle(self, number: int, choice: Choice) -> None:
        takers = Counter[int]()
        for key in self._keys:
            segments = key.split(".")
            # guards were evaluated before; without the tensor at hand only paths are compared here
            if self._on_path(choice, segments):
                earlier = (i for i, other in enumerate(self.choices[:number]) if self._on_path(other, segments))
                takers[next(earlier, -1)] += 1
        found = idle_rule(choice, self.choices, takers, self._keys, exact=self._exact)
        gone = None if takers or self._exact else self._gone(choice)
        self._context.diagnostics.append(replace(found, notes=(*found.notes, gone)) if gone else found)

    def _gone(self, choice: Choice) -> str | None:
        """That a source has a key which the rule would select, as where an earlier step took it."""
        for origin in self._context.inventory:
            if self._on_path(choice, origin.key.split(".")):
                return f"{origin.source} has `{origin.key}`, but at this step it is not there"
        return None

    def _on_path(self, choice: Choice, key: Sequence[str]) -> bool:
        patterns = map(self._index.pattern, included_paths(choice.selector))
        return any(pattern.match(key, self._types, exact=self._exact) for pattern in patterns)

    def _report_branch(self, choice: Choice, path: Path) -> None:
        self._context.diagnostics.append(idle_path(choice, path, self._keys, exact=self._exact))

    def _refuse_unknown_types(self, types: ModelTypes) -> None:
        for choice in self.choices:
            segments = [segment for path in paths(choice.selector) for segment in path.segments]
            for segment in segments:
                for name in segment.types:
                    note = types.unknown(name)
                    if note is not None:
                        self._broken = True
                        span = choice.span_of(segment.at)
                        self._context.report("unknown-layer", f"there is no class `{name}`", span, (note,))

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


def _taken(match: Match) -> str:
    """How much of a key a match takes, and by what: ``layers.3 with {i} = 3``."""
    named = [f"`{{{name}}}` = `{text}`" for name, text in match.captures.items()]
    stars = [f"a star = `{text}`" for text in match.stars]
    return f"`{'.'.join(match.key[: match.end])}`" + (f" with {', '.join([*named, *stars])}" if named or stars else "")


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
    # all items are asked for each key, so that none of them is idle for standing behind another
    found = [key for key, entry in subject.entries.items() if list(rules.selecting(key, entry))]
    rules.finish()
    return found
