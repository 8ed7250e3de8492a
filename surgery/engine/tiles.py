"""Arrays copied in whatever order their elements lie, tile by tile, so that every cache line is fetched once.

Where the elements of one array are neighbours along another dimension than those of the other, as in a transposition,
a copy from end to end comes back to each cache line when it has long been thrown out: 0.5 GB/s on the machine of the
benchmarks. A tile is first copied row by row into memory of its own, whose rows do not fall on the same places of the
cache as those of a matrix with 4096 columns do, and from there column by column: 5 to 8 GB/s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surgery.ops.ways import Array

__all__ = ["STRETCH", "blocks_of", "copy", "stretch_of"]

#: bytes that are put in order at a time; more for the largest tensors, so that some cache lines are used whole
STRETCH = 4 << 20
_PART = 64
#: elements along each side of a tile, and bytes that are added to its rows
_TILE, _PADDING = 256, 64
#: what is smaller than this fits the cache, in whatever order it is copied
_SMALL = 32 << 10
#: fewer elements along a side than this make no tile
_NARROW = 8


def stretch_of(nbytes: int) -> int:
    """How many bytes of a tensor of `nbytes` are put in order at a time."""
    return min(nbytes, max(STRETCH, nbytes // _PART))


def blocks_of(array: Array, memory: Array) -> Iterator[Array]:
    """The elements of an array in order, in one-dimensional contiguous blocks, each valid until the next.

    Args:
        array: of any strides.
        memory: at least `stretch_of` its bytes, which are written to unless the array is contiguous.
    """
    room = max(1, min(memory.nbytes, stretch_of(array.nbytes)) // array.itemsize)
    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        yield from (flat[at : at + room] for at in range(0, flat.size, room))
        return
    ordered = memory[: room * array.itemsize].view(array.dtype)
    for region in _regions(array.shape, room):
        part = array[region]
        block = ordered[: part.size]
        copy(block.reshape(part.shape), part)
        yield block


def _regions(shape: tuple[int, ...], room: int) -> Iterator[tuple[int | slice, ...]]:
    """Regions of at most `room` elements, each of which lies together where the elements are in order."""
    import numpy

    dim, inner = len(shape), 1
    while dim and inner * shape[dim - 1] <= room:
        dim, inner = dim - 1, inner * shape[dim - 1]
    if not dim:
        yield ()
        return
    rows = max(1, room // inner)
    rows = rows // _TILE * _TILE or rows
    for outer in numpy.ndindex(shape[: dim - 1]):
        for start in range(0, shape[dim - 1], rows):
            yield (*outer, slice(start, start + rows))


def copy(target: Array, source: Array) -> None:
    """Copy the elements of an array into one of the same shape and dtype, both of any strides."""
    import numpy

    shape, to, of = _simplified(target, source)
    last = len(shape) - 1
    near = min(range(len(shape)), key=lambda dim: (abs(of[dim]) or 1 << 62, -dim), default=last)
    if near == last or target.nbytes <= _SMALL or min(shape[near], shape[last]) < _NARROW:
        numpy.copyto(target, source)
        return
    strided = numpy.lib.stride_tricks.as_strided
    order = [dim for dim in range(len(shape)) if dim not in (near, last)] + [near, last]
    targets = strided(target, shape, to).transpose(order)
    sources = strided(source, shape, of).transpose(order)
    if shape[near] * shape[last] * source.itemsize <= _SMALL:
        numpy.copyto(targets, sources)
        return
    tile = numpy.empty((_TILE, _TILE + _PADDING // source.itemsize), source.dtype)
    for index in numpy.ndindex(sources.shape[:-2]):
        _copy_transposed(targets[index], sources[index].T, tile)


def _copy_transposed(target: Array, source: Array, memory: Array) -> None:
    """Copy a matrix, whose rows lie together, into one of the transposed shape, whose rows lie together too."""
    import numpy

    rows, columns = source.shape
    for row in range(0, rows, _TILE):
        for column in range(0, columns, _TILE):
            part = source[row : row + _TILE, column : column + _TILE]
            tile = memory[: part.shape[0], : part.shape[1]]
            numpy.copyto(tile, part)
            numpy.copyto(target[column : column + _TILE, row : row + _TILE], tile.T)


def _simplified(target: Array, source: Array) -> tuple[list[int], list[int], list[int]]:
    """The shape of two arrays and their strides, where neighbouring dimensions that can be one in both are one."""
    shape: list[int] = []
    to: list[int] = []
    of: list[int] = []
    for size, first, second in zip(target.shape, target.strides, source.strides, strict=True):
        if size == 1:
            continue
        if shape and to[-1] == first * size and of[-1] == second * size:
            shape[-1], to[-1], of[-1] = shape[-1] * size, first, second
        else:
            shape.append(size)
            to.append(first)
            of.append(second)
    return shape, to, of
