"""A large result computed part by part, so that what joins a hundred tensors holds a few rows of each.

Parts are what an operation puts one after the other, and runs of rows, indices of the first dimension, of what is
computed row by row. Each operation says of itself which it does: `surgery.ops.base.Op.in_order` and
`surgery.ops.base.Op.rows`. The bytes are those of the result computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass

from surgery.engine.evaluation import group_of, nodes
from surgery.engine.flow import way_of
from surgery.engine.memory import memory_of_stages
from surgery.ops.base import Op
from surgery.ops.slice import Slice
from surgery.ops.ways import Elementwise
from surgery.tensors.expr import Computed, Held, Stored, TensorExpr
from surgery.tensors.ranges import parts
from surgery.tensors.spec import Spec

__all__ = ["Series", "series_of"]

#: bytes of memory that a part should take; what takes no more is computed at once
PART = 16 << 20

#: a bound on the memory that an expression takes, in bytes
Bound = Callable[[TensorExpr], int]


@dataclass(frozen=True, slots=True)
class Series:
    """A result in parts.

    Attributes:
        parts: expressions whose bytes, one after the other, are those of the result before `stages`.
        stages: elementwise operations that the elements pass through last, the first of them first.
        memory: a bound on the memory that one part and the stages take, in bytes.
    """

    parts: tuple[TensorExpr, ...]
    stages: tuple[Computed, ...]
    memory: int


def series_of(expr: TensorExpr, bound: Bound) -> Series | None:
    """The parts of a result; None where it is small, or only can be computed at once."""
    if bound(expr) <= PART:
        return None
    stages: list[Computed] = []
    while isinstance(expr, Computed) and isinstance(way_of(expr), Elementwise):
        stages.append(expr)
        (expr,) = expr.inputs
    found = tuple(_parts(expr, bound))
    if len(found) == 1 or _repeated(found):
        return None
    kept = memory_of_stages(len(stages), expr.spec.numel)
    return Series(found, tuple(reversed(stages)), max(map(bound, found)) + kept)


def _parts(expr: TensorExpr, bound: Bound) -> Iterator[TensorExpr]:
    needed = bound(expr)
    if needed <= PART or not isinstance(expr, Computed) or not isinstance(expr.operation, Op):
        yield expr
        return
    specs = tuple(i.spec for i in expr.inputs)
    if specs and expr.operation.in_order(specs):
        for one in expr.inputs:
            yield from _parts(one, bound)
        return
    total = expr.spec.shape[0] if expr.spec.shape else 1
    step = max(1, total * PART // needed)
    runs = [range(start, min(start + step, total)) for start in range(0, total, step)]
    found = [rows for run in runs if (rows := _rows(expr, run)) is not None]
    yield from found if len(found) == len(runs) else [expr]


def _rows(expr: TensorExpr, rows: range) -> TensorExpr | None:
    """The rows of an expression as one of its own; None where it has to be computed whole."""
    if not expr.spec.shape:
        return None
    if len(rows) == expr.spec.shape[0]:
        return expr
    spec = Spec((len(rows), *expr.spec.shape[1:]), expr.spec.dtype)
    if isinstance(expr, Stored):
        return parts(expr, 0, rows, spec)
    if isinstance(expr, Held) and expr.spec.dtype.kind != "opaque":
        return Computed(spec, Slice(rows.start, rows.stop), (expr,))
    if not isinstance(expr, Computed) or not isinstance(expr.operation, Op):
        return None
    wanted = expr.operation.rows(tuple(i.spec for i in expr.inputs), rows)
    if wanted is None:
        return None
    pairs = [(i, run) for i, run in zip(expr.inputs, wanted, strict=True) if run is None or len(run)]
    cut = [one if run is None else _rows(one, run) for one, run in pairs]
    inputs = tuple(one for one in cut if one is not None)
    return Computed(spec, expr.operation, inputs, expr.output, expr.outputs) if len(inputs) == len(cut) else None


def _repeated(found: Iterable[TensorExpr]) -> bool:
    """Whether an operation would be done again for another part."""
    seen: set[Hashable] = set()
    for part in found:
        groups = {group_of(node) for node in nodes([part]) if isinstance(node, Computed)}
        if groups & seen:
            return True
        seen |= groups
    return False
