"""The ways without torch: the same bits, and the same errors, as torch's."""

import hypothesis.strategies as st
import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hypothesis_numpy

from surgery.ops.arithmetic import convert, torch_dtype
from surgery.ops.base import OpError
from surgery.ops.cast import Cast
from surgery.ops.casts import castable
from surgery.ops.ways import Elementwise
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec

PAIRS = [(a, b) for a in DTYPES.values() for b in DTYPES.values() if a != b and castable(a, b)]
each_pair = pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda dtype: dtype.name)
BLOCK = 7


def bits_of(tensor):
    return tensor.contiguous().view(torch.uint8).numpy().view(f"u{tensor.element_size()}").reshape(-1)


def by_torch(bits, source, target):
    """What torch makes of some bits: bits, or the message of an error."""
    tensor = torch.from_numpy(bits.view("u1")).view(torch_dtype(source.name))
    try:
        return bits_of(convert("cast", tensor, torch_dtype(target.name)))
    except OpError as error:
        return error.message


def by_numpy(bits, source, target):
    way = Cast(target).without_torch((Spec((bits.size,), source),), 1)
    assert isinstance(way, Elementwise)
    kernel = way.start()
    try:
        made = [kernel(bits[at : at + BLOCK]).copy() for at in range(0, bits.size, BLOCK)]
        kernel.finish()
    except OpError as error:
        return error.message
    return numpy.concatenate(made)


def is_nan(bits, dtype):
    if not dtype.floating:
        return numpy.zeros(bits.shape, bool)
    return torch.from_numpy(bits.view("u1")).view(torch_dtype(dtype.name)).isnan().numpy()


def same(bits, source, target):
    wanted, found = by_torch(bits, source, target), by_numpy(bits, source, target)
    if isinstance(wanted, str) or isinstance(found, str):
        assert found == wanted
        return
    assert found.dtype == wanted.dtype
    assert numpy.array_equal(is_nan(found, target), is_nan(wanted, target))
    assert numpy.array_equal(found[~is_nan(found, target)], wanted[~is_nan(wanted, target)])


def edges(dtype):
    """Bits that are special: zeros, ones, the least and the largest, neighbours of halves, infinities, NaNs."""
    top = 1 << (8 * dtype.size)
    if dtype.name == "bool":
        return [0, 1, 2, 255]
    if not dtype.floating:
        return [*range(9), *(top // 2 + n for n in range(-3, 3)), *(top - n for n in range(1, 9))]
    if dtype.size == 1:
        return list(range(256))
    fraction = dtype.mantissa - 1
    infinite = (2**dtype.exponent - 1) << fraction
    one = (2 ** (dtype.exponent - 1) - 1) << fraction
    found = [0, 1, 2, 3, one - 1, one, one + 1, infinite - 2, infinite - 1, infinite, infinite + 1]
    found += [infinite | 1 << (fraction - 1), (top >> 1) - 1, 1 << fraction, (1 << fraction) - 1]
    for width in (3, 7, 10, 13, 16, 23, 29):
        if width < fraction:
            found += [one | 1 << width, one | 1 << width | 1, one | 3 << width, (one | 3 << width) - 1]
    for name in ("float16", "bfloat16", "float32"):
        other = DTYPES[name]
        least = 2 ** (dtype.exponent - 1) - 1 - (2 ** (other.exponent - 1) - 2) - (other.mantissa - 1)
        most = 2 ** (dtype.exponent - 1) - 1 + 2 ** (other.exponent - 1) - 1
        for exponent in range(least - 2, least + 2):
            if 0 < exponent < 2**dtype.exponent:
                found += [exponent << fraction, (exponent << fraction) + 1, ((exponent + 1) << fraction) - 1]
        if 0 < most < 2**dtype.exponent - 1 and other.mantissa <= fraction:
            half = ((most + 1) << fraction) - (1 << (fraction - other.mantissa))
            found += [half - 1, half, half + 1, ((most + 1) << fraction) - 1]
    return found + [bits | top >> 1 for bits in found]


@each_pair
def test_edges_one_by_one_and_together(source, target):
    special = numpy.array(edges(source), f"u{source.size}")
    good = []
    for bits in special:
        one = numpy.array([bits])
        same(one, source, target)
        if not isinstance(by_torch(one, source, target), str):
            good.append(bits)
    same(special, source, target)
    same(numpy.array(good, special.dtype), source, target)


@each_pair
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_bits(source, target, data):
    bits = data.draw(hypothesis_numpy.arrays(f"u{source.size}", st.integers(1, 20)))
    if source.name == "bool":
        bits = bits & 1
    same(bits, source, target)


@pytest.mark.parametrize(("source", "target"), [p for p in PAIRS if p[0].size == 2], ids=lambda dtype: dtype.name)
def test_every_value_of_two_bytes(source, target):
    every = numpy.arange(65536, dtype="u2")
    good = every if not isinstance(by_torch(every, source, target), str) else every[: 1 << 10]
    same(good, source, target)
    if source.floating:
        same(
            every[numpy.isfinite(every.view("f2")) if source.name == "float16" else (every & 0x7F80) != 0x7F80],
            source,
            target,
        )


@each_pair
def test_many_random_numbers(source, target):
    generator = numpy.random.default_rng(0)
    if source.floating:
        values = torch.from_numpy(generator.standard_normal(20_000) * 2.0 ** generator.integers(-30, 15, 20_000))
        if not target.floating:
            # 127 would be rounded up to 128 by float8
            most = 1 if target.name == "bool" else 127 if source.size > 1 else 4
            values = values.clamp(0, most).round()
        if source.name == "float8_e8m0fnu":
            values = values.abs().clamp(1, 1000) if target.floating else torch.ones_like(values)
        bits = bits_of(values.to(torch_dtype(source.name)))
    else:
        most = 2 if "bool" in (source.name, target.name) else 100
        bits = generator.integers(0, most, 20_000).astype(f"u{source.size}")
    assert not isinstance(by_torch(bits, source, target), str)
    same(bits, source, target)


def test_every_value_of_float8_is_that_of_torch():
    for dtype in (dtype for dtype in DTYPES.values() if dtype.floating and dtype.size == 1):
        same(numpy.arange(256, dtype="u1"), dtype, DTYPES["float32"])


def test_what_numpy_cannot_do_is_left_to_torch():
    assert Cast(DTYPES["float8_e4m3fn"]).without_torch((Spec((2,), DTYPES["float32"]),), 1) is None
    assert Cast(DTYPES["float32"]).without_torch((Spec((2,), DTYPES["complex64"]),), 1) is None
