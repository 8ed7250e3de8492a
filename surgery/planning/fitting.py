"""Whether a tensor fits the place it is loaded into, and what that takes: nothing, an exact cast, or `[]` for `[1]`."""

from __future__ import annotations

from enum import Enum

from surgery.ops.base import Op
from surgery.ops.cast import Cast
from surgery.ops.reshape import Reshape
from surgery.tensors.dtype import casts_exactly
from surgery.tensors.expr import Computed, Held, Stored, Strided, TensorExpr, Unread
from surgery.tensors.spec import Spec

__all__ = ["Fit", "fit", "fitted", "same_tensor"]


class Fit(Enum):
    """How a tensor fits."""

    SHAPE = "another shape"
    LOSSY = "a dtype whose values the other does not hold"
    FITS = "as it is, or without changing a value"


def fit(wanted: Spec, found: Spec) -> Fit:
    """How a tensor of `found` fits where `wanted` is. A 0-dimensional tensor and one of shape ``[1]`` fit each other.

    >>> from surgery.tensors.dtype import DTYPES
    >>> fit(Spec((1,), DTYPES["float32"]), Spec((), DTYPES["bfloat16"])).name
    'FITS'
    """
    if wanted.shape != found.shape and {wanted.shape, found.shape} != {(), (1,)}:
        return Fit.SHAPE
    return Fit.FITS if casts_exactly(found.dtype, wanted.dtype) else Fit.LOSSY


def fitted(wanted: Spec, expr: TensorExpr) -> TensorExpr:
    """`expr`, which fits, with the shape and dtype of `wanted`; itself where it has them."""
    if expr.spec.shape != wanted.shape:
        expr = _applied(Reshape(wanted.shape), expr)
    if expr.spec.dtype != wanted.dtype:
        expr = _applied(Cast(wanted.dtype), expr)
    return expr


def _applied(op: Op, expr: TensorExpr) -> TensorExpr:
    if isinstance(expr, Stored):
        moved = op.rearrange((expr,), 1)
        if moved is not None:
            return moved[0]
    return Computed(op.infer((expr.spec,), 1)[0], op, (expr,))


def same_tensor(one: TensorExpr, other: TensorExpr) -> bool:
    """Whether two expressions are known to have the same values: one object, or the same bytes of the same file."""
    if one is other:
        return True
    match one, other:
        case Stored(), Stored():
            return one.spec == other.spec and _bytes(one) == _bytes(other)
        case Strided(), Strided():
            return (one.spec, one.storage, one.offset, one.strides) == (
                other.spec,
                other.storage,
                other.offset,
                other.strides,
            )
        case Held(), Held():
            return one.tensor is other.tensor
        case Unread(), Unread():
            return one.node is other.node
    return False


def _bytes(stored: Stored) -> list[tuple[str, int, int]]:
    return [(piece.path, piece.offset, piece.length) for piece in stored.ranges if piece.length]
