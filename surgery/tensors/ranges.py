"""Cutting and joining byte ranges, so that a part of a stored tensor is again a stored tensor and no byte is read.

A part along the first dimension of a contiguous tensor is one run of bytes. Along a later dimension it is one run for
each index of the dimensions before, which is still worth it as long as the runs are long.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from math import prod

from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec

__all__ = ["cut", "interleave", "merge", "parts", "relabel", "runs_of"]

#: so many runs are always worth it; more of them only where they are `_LONG` bytes on average
_FEW, _LONG = 64, 65_536


def cut(ranges: Sequence[ByteRange], start: int, length: int) -> tuple[ByteRange, ...]:
    """`length` bytes from byte `start` of the concatenation of `ranges`.

    A range that is taken whole keeps its CRC; what is cut off one remembers what it is a part of.

    >>> cut([ByteRange("a", 100, 10, crc=1), ByteRange("b", 0, 10)], 8, 4)
    (ByteRange(path='a', offset=108, length=2, crc=None), ByteRange(path='b', offset=0, length=2, crc=None))
    """
    return _Cutter(ranges).cut(start, length)


def merge(ranges: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """The same bytes in as few ranges as can be; ranges with a known CRC stay as they are, and get whole again.

    >>> merge([ByteRange("a", 0, 4), ByteRange("a", 4, 4), ByteRange("b", 8, 4), ByteRange("b", 12, 0)])
    (ByteRange(path='a', offset=0, length=8, crc=None), ByteRange(path='b', offset=8, length=4, crc=None))
    """
    merged: list[ByteRange] = []
    for piece in ranges:
        if not piece.length:
            continue
        last = merged[-1] if merged else None
        if last is not None and _are_neighbours(last, piece):
            merged[-1] = _joined(last, piece)
        else:
            merged.append(piece)
    return tuple(merged)


def _are_neighbours(last: ByteRange, piece: ByteRange) -> bool:
    """Whether `piece` goes on where `last` ends, and nothing that is known of the two is lost if they are one."""
    follows = last.path == piece.path and last.offset + last.length == piece.offset
    return follows and last.crc is None and piece.crc is None and last.whole == piece.whole


def _joined(last: ByteRange, piece: ByteRange) -> ByteRange:
    whole, length = last.whole, last.length + piece.length
    if whole is not None and (whole.offset, whole.length) == (last.offset, length):
        return whole
    return ByteRange(last.path, last.offset, length, whole=whole)


def relabel(stored: Stored, spec: Spec) -> Stored:
    """The same bytes under another shape: a new expression, tied to nothing."""
    assert spec.nbytes == stored.spec.nbytes, "the bytes stay"
    return dataclasses.replace(stored, spec=spec)


def parts(stored: Stored, dim: int, indices: Iterable[int], spec: Spec) -> Stored | None:
    """The `indices`, in that order, of dimension `dim` (not negative) of `stored`, as a tensor of `spec`.

    None where that would take so many short runs that reading the tensor is cheaper.
    """
    shape = stored.spec.shape
    outer, inner = prod(shape[:dim]), prod(shape[dim + 1 :]) * stored.spec.dtype.size
    runs = runs_of(indices)
    if not _worth(outer * len(runs), spec.nbytes):
        return None
    cutter, stride = _Cutter(stored.ranges), shape[dim] * inner
    pieces = (
        piece
        for base in range(0, outer * stride, stride or 1)
        for first, count in runs
        for piece in cutter.cut(base + first * inner, count * inner)
    )
    return Stored(spec, merge(pieces))


def interleave(tensors: Sequence[Stored], dim: int, spec: Spec) -> Stored | None:
    """The `tensors` one after the other along `dim` (not negative), as a tensor of `spec`; None as in :func:`parts`."""
    outer = prod(spec.shape[:dim])
    if not _worth(outer * len(tensors), spec.nbytes):
        return None
    if not spec.nbytes:
        return Stored(spec, ())
    cutters = [(_Cutter(tensor.ranges), tensor.spec.nbytes // outer) for tensor in tensors]
    pieces = (piece for i in range(outer) for cutter, size in cutters for piece in cutter.cut(i * size, size))
    return Stored(spec, merge(pieces))


def _worth(runs: int, nbytes: int) -> bool:
    return runs <= _FEW or nbytes >= runs * _LONG


def runs_of(indices: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of consecutive indices, each as its first one and their number."""
    if isinstance(indices, range) and indices.step == 1:
        return [(indices.start, len(indices))]
    runs = []
    for _, run in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        members = [index for _, index in run]
        runs.append((members[0], len(members)))
    return runs


class _Cutter:
    """Ranges with the places where they end, so that each cut finds its first range by bisection."""

    def __init__(self, ranges: Sequence[ByteRange]) -> None:
        self._ranges = ranges
        self._ends = list(accumulate(piece.length for piece in ranges))

    def cut(self, start: int, length: int) -> tuple[ByteRange, ...]:
        assert start + length <= (self._ends[-1] if self._ends else 0), "a cut lies inside"
        found: list[ByteRange] = []
        at = bisect_right(self._ends, start)
        while length:
            piece = self._ranges[at]
            skip = start - (self._ends[at] - piece.length)
            take = min(length, piece.length - skip)
            if take:
                found.append(piece.part(skip, take))
            start, length, at = start + take, length - take, at + 1
        return tuple(found)
