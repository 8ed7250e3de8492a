"""Boxes of a tensor, however it was cut apart, make the tensor again; boxes that do not fill it make none."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from surgery.formats.distributed.joining import joined
from surgery.formats.distributed.metadata import Chunk
from surgery.formats.pickles.machine import Malformed
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Computed, Stored, TensorExpr
from surgery.tensors.spec import Spec

INT32 = DTYPES["int32"]


@st.composite
def boxes_of(draw: st.DrawFn, shape: tuple[int, ...]) -> list[Chunk]:
    """A tensor cut apart along one dimension, and its pieces again, in any order of the pieces."""
    waiting, done = [Chunk((0,) * len(shape), shape)], []
    while waiting:
        box = waiting.pop()
        long = [dim for dim, size in enumerate(box.sizes) if size > 1]
        if not long or len(waiting) + len(done) > 20 or draw(st.booleans()):
            done.append(box)
            continue
        dim = draw(st.sampled_from(long))
        at = draw(st.integers(1, box.sizes[dim] - 1))
        for start, size in ((0, at), (at, box.sizes[dim] - at)):
            offsets, sizes = list(box.offsets), list(box.sizes)
            offsets[dim], sizes[dim] = offsets[dim] + start, size
            waiting.append(Chunk(tuple(offsets), tuple(sizes)))
    return draw(st.permutations(done))


shapes = st.lists(st.integers(1, 7), min_size=0, max_size=4).map(tuple)
cut = shapes.flatmap(lambda shape: st.tuples(st.just(shape), boxes_of(shape)))


def stored(whole: np.ndarray, boxes: list[Chunk]) -> tuple[list[tuple[Chunk, TensorExpr]], bytes]:
    """The boxes of an array, one behind the other in a file."""
    content = b""
    parts: list[tuple[Chunk, TensorExpr]] = []
    for box in boxes:
        data = whole[tuple(slice(a, a + n) for a, n in zip(box.offsets, box.sizes, strict=True))].tobytes()
        parts.append((box, Stored(Spec(box.sizes, INT32), (ByteRange("file", len(content), len(data)),))))
        content += data
    return parts, content


def value(expr: TensorExpr, content: bytes) -> torch.Tensor:
    if isinstance(expr, Computed):
        return expr.operation.apply([value(part, content) for part in expr.inputs], 1)[0]
    assert isinstance(expr, Stored)
    data = b"".join(content[piece.offset : piece.offset + piece.length] for piece in expr.ranges)
    return torch.frombuffer(bytearray(data), dtype=torch.int32).reshape(expr.spec.shape)


@settings(max_examples=300, deadline=None)
@given(cut)
def test_what_was_cut_apart_is_joined(case: tuple[tuple[int, ...], list[Chunk]]) -> None:
    shape, boxes = case
    whole = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    parts, content = stored(whole, boxes)
    expr = joined(Spec(shape, INT32), parts)
    assert expr.spec == Spec(shape, INT32)
    assert torch.equal(value(expr, content), torch.from_numpy(whole))


@settings(max_examples=300, deadline=None)
@given(cut, st.data())
def test_what_does_not_fill_it_is_refused(case: tuple[tuple[int, ...], list[Chunk]], data: st.DataObject) -> None:
    shape, boxes = case
    whole = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    parts, _ = stored(whole, boxes)
    number = data.draw(st.integers(0, len(parts) - 1))
    changed = data.draw(st.sampled_from(["gone", "twice", "in another's place"]))
    if changed == "gone":
        parts.pop(number)
    elif changed == "twice":
        parts.append(parts[number])
    else:
        alike = [other for other in parts if other[0].sizes == parts[number][0].sizes and other is not parts[number]]
        if not alike:
            return
        parts[number] = alike[0]
    with pytest.raises(Malformed, match="overlap, leave holes or interlock"):
        joined(Spec(shape, INT32), parts)


def test_a_tensor_of_nothing_needs_no_boxes() -> None:
    expr = joined(Spec((0, 3), INT32), [])
    assert isinstance(expr, Stored)
    assert expr.ranges == ()
