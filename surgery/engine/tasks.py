"""Work cut into tasks that need nothing from each other: expressions that share an operation go together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from surgery.engine.evaluation import group_of, nodes
from surgery.engine.flow import needs_torch
from surgery.engine.memory import memory_of_flows, memory_of_values
from surgery.engine.series import Series, series_of
from surgery.tensors.expr import Computed, TensorExpr

__all__ = ["Task", "tasks_in_memory", "tasks_of"]


@dataclass(frozen=True, slots=True)
class Task:
    """Expressions that are evaluated together.

    Attributes:
        members: their numbers, in order.
        memory: a bound on the memory for that, in bytes.
        series: the only member in parts, where it is large and can be computed part by part.
    """

    members: tuple[int, ...]
    memory: int
    series: Series | None = None


def tasks_of(exprs: Sequence[TensorExpr]) -> list[Task]:
    """The tasks of some expressions, in the order of their first members, when their bytes are written."""
    tasks: list[Task] = []
    for members in _groups(exprs):
        series = series_of(exprs[members[0]], lambda expr: _memory_of([expr])) if len(members) == 1 else None
        memory = series.memory if series is not None else _memory_of(exprs[n] for n in members)
        tasks.append(Task(members, memory, series))
    return tasks


def tasks_in_memory(exprs: Sequence[TensorExpr]) -> list[Task]:
    """The same when their values are wanted as tensors: all of them by torch."""
    return [Task(members, memory_of_values(exprs[n] for n in members)) for members in _groups(exprs)]


def _memory_of(exprs: Iterable[TensorExpr]) -> int:
    """A bound on the memory to evaluate some expressions together, each without torch if it can be."""
    roots = list(exprs)
    by_torch = {expr for expr in roots if needs_torch(expr)}
    return memory_of_flows(expr for expr in roots if expr not in by_torch) + memory_of_values(by_torch)


def _groups(exprs: Sequence[TensorExpr]) -> list[tuple[int, ...]]:
    owner: dict[Hashable, int] = {}
    parent = list(range(len(exprs)))

    def find(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for number, expr in enumerate(exprs):
        if not isinstance(expr, Computed):
            continue
        for node in nodes([expr]):
            if isinstance(node, Computed):
                first = find(owner.setdefault(group_of(node), number))
                second = find(number)
                parent[max(first, second)] = min(first, second)
    groups: dict[int, list[int]] = {}
    for number in range(len(exprs)):
        groups.setdefault(find(number), []).append(number)
    return [tuple(members) for members in groups.values()]
