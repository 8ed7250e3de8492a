"""Selecting: which rule of a step takes a key, and what its captures took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from surgery.lang.ambiguity import another_way
from surgery.lang.automaton import Automaton
from surgery.lang.expression import EvaluationError, Expression, evaluate
from surgery.lang.facts import Facts
from surgery.lang.match import Match, capture_values
from surgery.lang.path import Path
from surgery.lang.pattern import Pattern, TypeTest
from surgery.lang.selector import Except, Guarded, Selector, Union, paths

__all__ = ["Found", "GuardError", "SelectorIndex"]

#: a selector's number, the path of it that matched, and the match
Found: TypeAlias = tuple[int, Path, Match]


class GuardError(EvaluationError):
    """The condition of selector `number` makes no sense for a key."""

    def __init__(self, error: EvaluationError, number: int) -> None:
        super().__init__(str(error), error.expression)
        self.number = number


class SelectorIndex:
    """Selectors in order, indexed together.

    `exact` selects nodes themselves (modules); otherwise a selector takes everything below what it matches.

    Attributes:
        doubts: for each path whose condition failed on the match that counts and would hold on another way to match the
            same key: the two matches.
    """

    def __init__(self, selectors: Sequence[Selector], *, types: TypeTest | None = None, exact: bool = False) -> None:
        self._selectors = tuple(selectors)
        self._types = types
        self._exact = exact
        self._used: set[int] = set()
        self.doubts: dict[int, tuple[Match, Match]] = {}
        self._patterns: dict[int, Pattern] = {}
        self._owners: list[int] = []
        patterns = []
        for owner, selector in enumerate(self._selectors):
            for path in paths(selector):
                if id(path) not in self._patterns:
                    self._patterns[id(path)] = Pattern(path)
                patterns.append(self._patterns[id(path)])
                self._owners.append(owner)
        self._automaton = Automaton(patterns, exact=exact)
        #: for each selector that is one path of fixed length, its pattern: being a candidate, it matches
        self._certain = [self._certainly(selector) for selector in self._selectors]

    def _certainly(self, selector: Selector) -> Pattern | None:
        pattern = self._patterns[id(selector)] if isinstance(selector, Path) else None
        return pattern if pattern and pattern.length is not None and not pattern.typed else None

    def pattern(self, path: Path) -> Pattern:
        """The compiled form of a path of these selectors."""
        return self._patterns[id(path)]

    def selecting(self, key: Sequence[str], facts: Facts) -> Iterator[Found]:
        """The selectors that take `key` (its segments), in order.

        Raises:
            GuardError: a condition makes no sense for this key.
        """
        before = -1
        for candidate in self._automaton.candidates(key):
            owner = self._owners[candidate]
            if owner == before:
                continue
            before = owner
            try:
                found = self._select(self._selectors[owner], key, facts, self._used)
            except EvaluationError as error:
                raise GuardError(error, owner) from error
            if found is not None:
                yield owner, *found

    def first(self, key: Sequence[str], facts: Facts) -> Found | None:
        """The first selector that takes `key`."""
        candidates = self._automaton.candidates(key)
        if not candidates:
            return None
        owner = self._owners[candidates[0]]
        pattern = self._certain[owner]
        if pattern is not None:
            return owner, pattern.path, pattern.surely(key, exact=self._exact)
        return next(self.selecting(key, facts), None)

    def idle(self, selector: Selector) -> list[Path]:
        """The paths of a union, difference or guarded selector that matched nothing so far; paths behind ``except``
        among them."""
        return [path for path in paths(selector) if id(path) not in self._used]

    def _select(
        self, selector: Selector, key: Sequence[str], facts: Facts, used: set[int]
    ) -> tuple[Path, Match] | None:
        """The path of a selector that takes a key. Paths that matched are added to `used`."""
        match selector:
            case Path():
                found = self._patterns[id(selector)].match(key, self._types, exact=self._exact)
                if found is None:
                    return None
                used.add(id(selector))
                return selector, found
            case Union(operands=operands):
                taken = [self._select(operand, key, facts, used) for operand in operands]
                return next((t for t in taken if t is not None), None)
            case Except(base=base, minus=minus):
                found_base = self._select(base, key, facts, used)
                if found_base is None or self._select(minus, key, facts, used) is not None:
                    return None
                return found_base
            case Guarded(selector=inner, condition=condition):
                matched: set[int] = set()
                found_inner = self._select(inner, key, facts, matched)
                if found_inner is None:
                    # what an exception leaves out is left out whatever the condition says
                    used |= matched
                elif self._holds(condition, *found_inner, facts):
                    used |= matched
                    return found_inner
                return None
        raise AssertionError(selector)

    def _holds(self, condition: Expression, path: Path, match: Match, facts: Facts) -> bool:
        if evaluate(condition, facts.under(capture_values(match, path))):
            return True
        if id(path) not in self.doubts:
            other = another_way(match, lambda way: _maybe(condition, way, facts), self._types, exact=self._exact)
            if other is not None:
                self.doubts[id(path)] = (match, other)
        return False


def _maybe(condition: Expression, match: Match, facts: Facts) -> bool:
    """Whether a condition holds on a way to match that does not count; where it makes no sense, it does not."""
    try:
        return bool(evaluate(condition, facts.under(capture_values(match, match.pattern.path))))
    except EvaluationError:
        return False
