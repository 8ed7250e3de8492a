"""Where a large tensor should stand so that a file system can share its blocks with the source instead of copying."""

from __future__ import annotations

from surgery.files.writer import BLOCK
from surgery.tensors.expr import Stored, TensorExpr

__all__ = ["remainder"]

#: below this, sharing saves nothing
_LARGE = 1 << 20


def remainder(expr: TensorExpr, alignment: int) -> int | None:
    """The place inside a block where `expr` stands in its source; None where it does not matter or is not aligned.

    >>> from surgery.tensors.dtype import DTYPES
    >>> from surgery.tensors.expr import ByteRange
    >>> from surgery.tensors.spec import Spec
    >>> remainder(Stored(Spec((1 << 20,), DTYPES["int8"]), (ByteRange("model.pt", 4096 + 128, 1 << 20),)), 64)
    128
    """
    if not isinstance(expr, Stored) or len(expr.ranges) != 1 or expr.ranges[0].length < _LARGE:
        return None
    place = expr.ranges[0].offset % BLOCK
    return place if place % alignment == 0 else None
