"""All patterns of a step at once, indexed by segment.

The patterns form one nondeterministic automaton over segments. It is made deterministic lazily: for each set of
states and each segment met, the next set is computed once and remembered. A key then costs one dictionary lookup for
each of its segments, however many patterns there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from surgery.lang.pattern import Pattern
from surgery.lang.segment import SegmentPattern

__all__ = ["Automaton"]

#: how much is remembered at most: transitions, and nodes of states (some 100 bytes each)
_REMEMBERED = 500_000


@dataclass(slots=True, eq=False)
class _Node:
    literals: dict[str, list[_Node]] = field(default_factory=dict)
    tests: list[tuple[SegmentPattern, _Node]] = field(default_factory=list)
    onward: list[_Node] = field(default_factory=list)  # reached without a segment
    loops: bool = False  # any segment leads back here
    accepts: list[int] = field(default_factory=list)


class _State:
    """A set of nodes, with the patterns accepted so far."""

    __slots__ = ("accepted", "always", "literals", "next", "nodes", "tests")

    def __init__(self, nodes: frozenset[_Node], accepted: frozenset[int]) -> None:
        self.nodes = nodes
        self.accepted = tuple(sorted(accepted))
        self.next: dict[str, _State] = {}
        self.always = [node for node in nodes if node.loops]
        self.tests = [pair for node in nodes for pair in node.tests]
        self.literals: dict[str, list[_Node]] = {}
        for node in nodes:
            for text, targets in node.literals.items():
                self.literals.setdefault(text, []).extend(targets)


class Automaton:
    """Which of `patterns` may match a key: a superset, exact but for repeated captures and types.

    With `exact` a pattern must match the whole key, without it a leading part.

    >>> Automaton([Pattern.of_text("a.*"), Pattern.of_text("**.b")]).candidates(["a", "b", "c"])
    (0, 1)
    """

    def __init__(self, patterns: Iterable[Pattern], *, exact: bool = False) -> None:
        self._exact = exact
        self._root = _Node()
        self._states: dict[tuple[frozenset[_Node], frozenset[int]], _State] = {}
        for index, pattern in enumerate(patterns):
            self._add(pattern, index)
        self._remembered = 0
        self._start = self._state([self._root], frozenset())

    def candidates(self, key: Sequence[str]) -> tuple[int, ...]:
        """The numbers of the patterns that may match, ascending."""
        state = self._start
        for segment in key:
            following = state.next.get(segment)
            if following is None:
                following = self._advance(state, segment)
            state = following
            if not state.nodes and not self._exact:
                break
        return state.accepted

    def _add(self, pattern: Pattern, index: int) -> None:
        ends = [self._root]
        for element in pattern.elements:
            after = _Node()
            if element.deep:
                after.loops = True
                for end in ends:
                    end.onward.append(after)
            for chain in element.chains:
                for end in ends:
                    _link(end, chain.segments, after)
            ends = [after]
        for end in ends:
            end.accepts.append(index)

    def _advance(self, state: _State, segment: str) -> _State:
        nodes = list(state.always)
        nodes += state.literals.get(segment, ())
        nodes += (node for pattern, node in state.tests if pattern.match(segment) is not None)
        if self._remembered >= _REMEMBERED:
            self._forget()
        self._remembered += 1
        following = self._state(nodes, frozenset() if self._exact else frozenset(state.accepted))
        state.next[segment] = following
        return following

    def _forget(self) -> None:
        """Drop what was remembered, so that memory stays bounded on keys without end."""
        for state in self._states.values():
            state.next.clear()
        self._states = {(self._start.nodes, frozenset(self._start.accepted)): self._start}
        self._remembered = 0

    def _state(self, nodes: list[_Node], accepted: frozenset[int]) -> _State:
        closure: set[_Node] = set()
        waiting = nodes
        found = set(accepted)
        while waiting:
            node = waiting.pop()
            if node not in closure:
                closure.add(node)
                found.update(node.accepts)
                waiting.extend(node.onward)
        live = frozenset(n for n in closure if n.literals or n.tests or (n.loops and (self._exact or not n.accepts)))
        key = (live, frozenset(found))
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(*key)
            self._remembered += len(live) + len(found)
        return state


def _link(start: _Node, segments: Sequence[SegmentPattern], end: _Node) -> None:
    """Connect two nodes by a chain of segments."""
    for index, segment in enumerate(segments):
        target = end if index == len(segments) - 1 else _Node()
        if segment.literal is not None:
            start.literals.setdefault(segment.literal, []).append(target)
        else:
            start.tests.append((segment, target))
        start = target
