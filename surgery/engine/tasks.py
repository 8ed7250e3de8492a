"""Work cut into tasks that need nothing from each other: expressions that share an operation go together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from surgery.engine.values import group_of, nodes
from surgery.tensors.expr import Computed, Held, TensorExpr

__all__ = ["Task", "memory_of", "tasks_of"]


@dataclass(frozen=True, slots=True)
class Task:
    """Numbers of expressions that are evaluated together, in order, and a bound on the memory for that in bytes."""

    members: tuple[int, ...]
    memory: int


def tasks_of(exprs: Sequence[TensorExpr]) -> list[Task]:
    """The tasks of some expressions, in the order of their first members."""
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
    return [Task(tuple(members), memory_of(exprs[n] for n in members)) for members in groups.values()]


def memory_of(exprs: Iterable[TensorExpr]) -> int:
    """A bound on the memory to evaluate some expressions together, as if nothing were freed before the end.

    Results may be views that keep their inputs alive, and may have to be made contiguous; operations on 16-bit numbers
    compute in 32 bits.
    """
    roots = list(exprs)
    total = scratch = 0
    for node in nodes(roots):
        if isinstance(node, Computed):
            results = node.operation.infer(tuple(i.spec for i in node.inputs), node.outputs)
            total += sum(spec.nbytes for spec in results)
            scratch = max(scratch, sum(4 * spec.numel for spec in results if spec.dtype.size == 2))
        elif not isinstance(node, Held):
            total += node.spec.nbytes
    copied = max((root.spec.nbytes for root in roots if isinstance(root, Computed)), default=0)
    return total + scratch + copied
