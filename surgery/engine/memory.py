"""Bounds on the memory that expressions take while they are evaluated, from the expressions alone."""

from __future__ import annotations

from collections.abc import Iterable

from surgery.engine.evaluation import nodes
from surgery.engine.flow import BATCH, room_for, way_of
from surgery.engine.leaves import is_array, reach
from surgery.ops.ways import Elementwise, Views
from surgery.tensors.expr import Computed, Held, Stored, Strided, TensorExpr

__all__ = ["memory_of_flows", "memory_of_stages", "memory_of_values"]

#: bytes for each element of a block in what one kernel keeps: 8 at most for each of its buffers
_KERNEL = 32
#: for a tile, and what rounding up to whole lines of the cache adds
_REST = 2 << 20


def memory_of_values(exprs: Iterable[TensorExpr]) -> int:
    """A bound for torch, as if nothing were freed before the end.

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
        elif not isinstance(node, Held) or is_array(node.tensor):
            # torch works on a copy of an array
            total += node.spec.nbytes
            if isinstance(node, Strided):
                scratch = max(scratch, _storage(node))
    copied = max((root.spec.nbytes for root in roots if isinstance(root, Computed)), default=0)
    return total + scratch + copied


def memory_of_stages(count: int, numel: int) -> int:
    """A bound for what `count` kernels keep, for a tensor of `numel` elements."""
    return count * min(BATCH, numel) * _KERNEL


def memory_of_flows(exprs: Iterable[TensorExpr]) -> int:
    """A bound for what flows (`surgery.engine.flow`), as if nothing were freed before the end.

    What an operation other than an elementwise one takes is in memory whole; all else passes in blocks.
    """
    roots = list(exprs)
    total = 0
    whole: dict[int, TensorExpr] = {}
    for node in nodes(roots):
        if isinstance(node, Strided):
            total += _storage(node)
        if not isinstance(node, Computed):
            continue
        way = way_of(node)
        if isinstance(way, Elementwise):
            total += memory_of_stages(1, node.spec.numel)
            continue
        whole.update((id(i), i) for i in node.inputs)
        moved = any(not isinstance(i, Stored) for i in node.inputs)
        # a view of a view may have to be put in order before it is taken apart
        if not isinstance(way, Views) or moved:
            total += sum(s.nbytes for s in node.operation.infer(tuple(i.spec for i in node.inputs), node.outputs))
    total += sum(expr.spec.nbytes for expr in whole.values())
    total += room_for(roots)
    return total + min(_REST, 64 * total)


def _storage(expr: Strided) -> int:
    """The bytes of a strided tensor with what lies between its elements."""
    return reach(expr) * expr.spec.dtype.size
