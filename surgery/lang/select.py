"""Selecting: which rule of a step takes a key, and what its captures took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surgery.lang.automaton import Automaton
from surgery.lang.expression import Expression, evaluate
from surgery.lang.facts import Facts
from surgery.lang.path import Path
from surgery.lang.pattern import Match, Pattern, TypeTest
from surgery.lang.selector import Except, Guarded, Selector, Union, paths

__all__ = ["SelectorIndex", "capture_values"]


def capture_values(match: Match, path: Path | None = None) -> dict[str, Any]:
    """The captures of a match as values of a condition: ``{i:int}`` as an integer, the others as text."""
    if path is None:
        return dict(match.captures)
    kinds = {capture.name: capture.kind for capture in path.captures()}
    return {name: int(text) if kinds.get(name) == "int" else text for name, text in match.captures.items()}


class SelectorIndex:
    """Selectors in order, indexed together.

    `exact` selects nodes themselves (modules); otherwise a selector takes everything below what it matches.
    `used` collects the paths that matched something, so that a step can tell which words of its rules were idle.
    """

    def __init__(self, selectors: Sequence[Selector], *, types: TypeTest | None = None, exact: bool = False) -> None:
        self._selectors = tuple(selectors)
        self._types = types
        self._exact = exact
        self.used: set[int] = set()
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
        self._simple = [isinstance(s, Path) and not self._patterns[id(s)].typed for s in self._selectors]

    def pattern(self, path: Path) -> Pattern:
        """The compiled form of a path of these selectors."""
        return self._patterns[id(path)]

    def selecting(self, key: Sequence[str], facts: Facts) -> Iterator[tuple[int, Path, Match]]:
        """The selectors that take `key` (its segments), in order: number, the path that matched, and the match."""
        before = -1
        for candidate in self._automaton.candidates(key):
            owner = self._owners[candidate]
            if owner == before:
                continue
            before = owner
            found = self._select(self._selectors[owner], key, facts)
            if found is not None:
                yield owner, *found

    def first(self, key: Sequence[str], facts: Facts) -> tuple[int, Path, Match] | None:
        """The first selector that takes `key`."""
        return next(self.selecting(key, facts), None)

    def idle(self, selector: Selector) -> list[Path]:
        """The paths of a selector that matched nothing so far; paths behind ``except`` among them."""
        return [path for path in paths(selector) if id(path) not in self.used]

    def _select(self, selector: Selector, key: Sequence[str], facts: Facts) -> tuple[Path, Match] | None:
        match selector:
            case Path():
                found = self._patterns[id(selector)].match(key, self._types, exact=self._exact)
                if found is None:
                    return None
                self.used.add(id(selector))
                return selector, found
            case Union(operands=operands):
                taken = [self._select(operand, key, facts) for operand in operands]
                return next((t for t in taken if t is not None), None)
            case Except(base=base, minus=minus):
                found_base = self._select(base, key, facts)
                if found_base is None or self._select(minus, key, facts) is not None:
                    return None
                return found_base
            case Guarded(selector=inner, condition=condition):
                used = set(self.used)
                inner_found = self._select(inner, key, facts)
                if inner_found is None:
                    return None
                if not holds(condition, facts.under(capture_values(inner_found[1], inner_found[0]))):
                    self.used = used
                    return None
                return inner_found
        raise AssertionError(selector)


def holds(condition: Expression, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds.

    Raises:
        EvaluationError: the condition makes no sense for this key.
    """
    return bool(evaluate(condition, values))
