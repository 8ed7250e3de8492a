"""Tensors put together from the boxes that they were saved in: by ranks, along one dimension or several."""

from __future__ import annotations

from collections.abc import Sequence

from surgery.formats.distributed.metadata import Chunk
from surgery.formats.pickles.machine import Malformed
from surgery.ops.concat import Concat
from surgery.tensors.expr import Computed, Stored, TensorExpr
from surgery.tensors.ranges import merge
from surgery.tensors.spec import Spec

__all__ = ["Part", "joined"]

#: a box, and what stands in it
Part = tuple[Chunk, TensorExpr]
#: how often boxes are cut apart along one dimension after the other; ranks in a grid need as many as it has dimensions
_DEEPEST = 32
_WRONG = "its chunks overlap, leave holes or interlock"


def joined(spec: Spec, parts: Sequence[Part]) -> TensorExpr:
    """The tensor of `spec` of which each part is a box. Empty boxes count for nothing.

    Along the first dimension that is a list of byte ranges, along others as long as there are not too many short ones;
    else a `Concat`.

    Raises:
        Malformed: the boxes overlap, do not cover it, or interlock, so that no cut goes through between them.
    """
    if not spec.numel:
        return Stored(spec, ())
    parts = [(chunk, expr) for chunk, expr in parts if 0 not in chunk.sizes]
    if sum(expr.spec.numel for _, expr in parts) != spec.numel:
        raise Malformed(_WRONG)
    return _join(Chunk((0,) * len(spec.shape), spec.shape), parts, _DEEPEST)


def _join(box: Chunk, parts: Sequence[Part], depth: int) -> TensorExpr:
    """What stands in a box, from the parts that lie in it."""
    if len(parts) == 1:
        ((chunk, expr),) = parts
        if chunk != box:
            raise Malformed(_WRONG)
        return expr
    for dim in range(len(box.sizes) if depth else 0):
        pieces = _cut(box, parts, dim)
        if len(pieces) > 1:
            return _concat([_join(inner, inside, depth - 1) for inner, inside in pieces], dim)
    raise Malformed(_WRONG)


def _cut(box: Chunk, parts: Sequence[Part], dim: int) -> list[tuple[Chunk, list[Part]]]:
    """The box in as many pieces along `dim` as can be without cutting through a part."""
    groups: list[list[Part]] = []
    starts: list[int] = []
    end = box.offsets[dim]
    for part in sorted(parts, key=lambda part: part[0].offsets[dim]):
        start, size = part[0].offsets[dim], part[0].sizes[dim]
        if start >= end:
            groups.append([])
            starts.append(start)
        groups[-1].append(part)
        end = max(end, start + size)
    # the pieces fill the box, and one that its parts do not fill is noticed where it is joined
    starts[0] = box.offsets[dim]
    ends = [*starts[1:], box.offsets[dim] + box.sizes[dim]]
    return [(_narrowed(box, dim, start, end), group) for start, end, group in zip(starts, ends, groups, strict=True)]


def _narrowed(box: Chunk, dim: int, start: int, end: int) -> Chunk:
    offsets, sizes = list(box.offsets), list(box.sizes)
    offsets[dim], sizes[dim] = start, end - start
    return Chunk(tuple(offsets), tuple(sizes))


def _concat(exprs: Sequence[TensorExpr], dim: int) -> TensorExpr:
    operation = Concat(dim)
    (spec,) = operation.infer(tuple(expr.spec for expr in exprs), 1)
    stored = [expr for expr in exprs if isinstance(expr, Stored)]
    if len(stored) == len(exprs):
        if dim == 0:
            return Stored(spec, merge(piece for expr in stored for piece in expr.ranges))
        ranges = operation.rearrange(tuple(stored), 1)
        if ranges is not None:
            return ranges[0]
    return Computed(spec, operation, tuple(exprs))
