"""Digests of what headers say: they cost nothing, and change with every name, dtype, shape and place of a tensor.

The list has a line for each tensor, in JSON: of a source its name, dtype, shape, and of each of its stretches of bytes
the number of the file, offset, length and CRC-32 (null where unknown); of a result its name, dtype and shape, which are
the same in every format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from surgery.formats.contents import Checkpoint
from surgery.formats.nodes import tensors_in
from surgery.provenance.record import Listing
from surgery.tensors.expr import ByteRange, Stored, Strided, TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["checkpoint_listing", "result_listing"]

_encode = json.JSONEncoder(separators=(",", ":")).encode


def result_listing(specs: Iterable[tuple[str, Spec]]) -> Listing:
    """The listing of keys with their shapes and dtypes, in whatever order they come.

    >>> from surgery.tensors.dtype import DTYPES
    >>> one, other = ("a", Spec((2,), DTYPES["int8"])), ("b", Spec((), DTYPES["int8"]))
    >>> result_listing([one, other]) == result_listing([other, one])
    True
    """
    return _listing([key, *_described(spec)] for key, spec in sorted(specs, key=lambda item: item[0]))


def checkpoint_listing(checkpoint: Checkpoint) -> Listing:
    """The listing of every tensor of a checkpoint, that of optimizers included."""
    numbers = {path: number for number, path in enumerate(checkpoint.files)}
    return _listing(
        [path, *_described(expr.spec), _places(expr, numbers)] for path, expr in tensors_in(checkpoint.tree)
    )


def _described(spec: Spec) -> tuple[str, tuple[int, ...]]:
    return spec.dtype.name, spec.shape


def _places(expr: TensorExpr, numbers: Mapping[str, int]) -> list[Any]:
    if isinstance(expr, Stored):
        return [_place(piece, numbers) for piece in expr.ranges]
    if isinstance(expr, Strided):
        return [_place(expr.storage, numbers), expr.offset, expr.strides, expr.big_endian]
    # an array whose bytes are escaped in a pickle has no place of its own
    return []


def _place(piece: ByteRange, numbers: Mapping[str, int]) -> list[Any]:
    return [numbers.get(piece.path), piece.offset, piece.length, piece.crc]


def _listing(lines: Iterable[list[Any]]) -> Listing:
    digest, count = hashlib.sha256(), 0
    for line in lines:
        digest.update(_encode(line).encode() + b"\n")
        count += 1
    return Listing(count, digest.hexdigest())
