"""Expressions evaluated in whatever way: each operation once, each value freed when its last user is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeAlias, TypeVar

from surgery.tensors.expr import Computed, TensorExpr

__all__ = ["Evaluation", "Failure", "group_of", "nodes"]

Slot: TypeAlias = Hashable
V = TypeVar("V")


def group_of(expr: Computed) -> Hashable:
    """What the results of one operation on the same inputs share: they are computed together."""
    return (id(expr.operation), tuple(map(id, expr.inputs)), expr.outputs)


def _slot(expr: TensorExpr) -> Slot:
    return (group_of(expr), expr.output) if isinstance(expr, Computed) else id(expr)


def nodes(roots: Iterable[TensorExpr]) -> Iterator[TensorExpr]:
    """Every leaf, and one expression of every operation, below `roots`, each once."""
    seen: set[Hashable] = set()
    waiting = list(roots)
    while waiting:
        expr = waiting.pop()
        identity = group_of(expr) if isinstance(expr, Computed) else id(expr)
        if identity in seen:
            continue
        seen.add(identity)
        yield expr
        if isinstance(expr, Computed):
            waiting.extend(expr.inputs)


class Failure(Exception):
    """An operation failed on the values that it got."""

    def __init__(self, operation: object, error: Exception) -> None:
        super().__init__(str(error))
        self.operation = operation
        self.error = error


class Evaluation(ABC, Generic[V]):
    """The values of some expressions, which are taken in order, each once.

    Args:
        roots: what will be taken, in that order.
    """

    def __init__(self, roots: Iterable[TensorExpr]) -> None:
        roots = list(roots)
        self._values: dict[Slot, V] = {}
        self._uses: Counter[Slot] = Counter(map(_slot, roots))
        for node in nodes(roots):
            if isinstance(node, Computed):
                self._uses.update(map(_slot, node.inputs))

    @abstractmethod
    def _leaf(self, expr: TensorExpr) -> V:
        """The value of a leaf."""

    @abstractmethod
    def _apply(self, node: Computed, inputs: list[V]) -> list[V]:
        """The results of an operation, all of them."""

    def take(self, expr: TensorExpr) -> V:
        """The value of an expression.

        Raises:
            Failure: an operation failed.
            SurgeryError: a source changed or is damaged.
        """
        waiting = [expr]
        while waiting:
            node = waiting[-1]
            absent = [i for i in _inputs(node) if _slot(i) not in self._values] if self._lacks(node) else []
            if absent:
                waiting.extend(reversed(absent))
                continue
            waiting.pop()
            if self._lacks(node):
                self._make(node)
        return self._used(expr)

    def _lacks(self, node: TensorExpr) -> bool:
        return _slot(node) not in self._values

    def _make(self, node: TensorExpr) -> None:
        if not isinstance(node, Computed):
            self._values[_slot(node)] = self._leaf(node)
            return
        results = self._apply(node, [self._used(i) for i in node.inputs])
        assert len(results) == node.outputs, f"{node.operation} gives what it says"
        for number, result in enumerate(results):
            slot = (group_of(node), number)
            if self._uses[slot]:
                self._values[slot] = result

    def _used(self, expr: TensorExpr) -> V:
        """The value, which is forgotten if nobody else needs it."""
        slot = _slot(expr)
        self._uses[slot] -= 1
        return self._values[slot] if self._uses[slot] else self._values.pop(slot)


def _inputs(node: TensorExpr) -> tuple[TensorExpr, ...]:
    return node.inputs if isinstance(node, Computed) else ()
