"""Casts on numpy arrays, block by block: the values and the errors are those of `surgery.ops.arithmetic.convert`.

bfloat16 has no numpy dtype: it is the upper half of a float32, so that it is read by a shift and written by rounding
the bits to nearest, ties to even. What is narrower than float32 is made by way of float32, as torch makes it: rounding
twice is not always the same as rounding once. float8 is read by looking each of its 256 values up. Left to torch are
complex numbers, casts to float8, and uint64, which torch compares by way of float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from surgery.ops.base import OpError
from surgery.tensors.dtype import DType

if TYPE_CHECKING:
    from surgery.ops.ways import Array

__all__ = ["CastKernel", "castable", "constant", "everywhere"]

_NATIVE = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint32", "uint16", "uint8", "bool")
_FLOAT8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")
_SOURCES = {*_NATIVE, *_FLOAT8, "bfloat16"}
_TARGETS = {*_NATIVE, "bfloat16", "uint64"}
#: bits of bfloat16: the exponent, all set for what is not finite, and the one that is set in a quiet NaN
_INFINITE, _QUIET = 0x7F80, 0x40


def castable(source: DType, target: DType) -> bool:
    """Whether `CastKernel` knows this cast."""
    return source.name in _SOURCES and target.name in _TARGETS


class CastKernel:
    """Casts the elements of one tensor; see `surgery.ops.ways.Kernel`.

    Args:
        name: the operation's, for errors.
        source: the dtype that the elements have.
        target: the dtype that they get, another one.
    """

    def __init__(self, name: str, source: DType, target: DType) -> None:
        self._name = name
        self._source = source
        self._target = target
        self._first, self._second, self._result = _Buffer(), _Buffer(), _Buffer()
        self._low: Any = None
        self._high: Any = None

    def __call__(self, block: Array) -> Array:
        import numpy

        values = self._values(block)
        # what overflows, or is no number, is looked for by value
        with numpy.errstate(all="ignore"):
            return self._rounded(values) if self._target.floating else self._whole(values)

    def finish(self) -> None:
        if self._low is None:
            return
        least, most = _range(self._target)
        for value in (self._low, self._high):
            if not least <= value <= most:
                whole = f"{self._target}, which goes from {least} to {most}"
                raise OpError(f"`{self._name}`: {value} does not fit into {whole}")

    def _values(self, block: Array) -> Array:
        """The elements in a dtype of numpy."""
        import numpy

        if self._source.name == "bool":
            return numpy.not_equal(block, 0, out=self._first.of(block.size, "?"))
        if self._source.size > 2 or not self._source.floating:
            return block.view(self._source.name)
        wide = self._first.of(block.size, "u4")
        if self._source.size == 1:
            return numpy.take(_all_of_float8(self._source.name), block, out=wide.view("f4"), mode="clip")
        if self._source.name == "float16":
            # numpy converts and compares single ones slowly
            return numpy.take(_all_of_float16(), block, out=wide.view("f4"), mode="clip")
        numpy.copyto(wide, block)
        return numpy.left_shift(wide, 16, out=wide).view("f4")

    def _rounded(self, values: Array) -> Array:
        """The values in a float type."""
        import numpy

        limit = _largest(self._target)
        # NaN makes this false
        usual = self._is_safe() or bool(-limit <= values.min() and values.max() <= limit)
        single = values
        if self._target.size == 2 and values.dtype != numpy.float32:
            single = self._second.of(values.size, "f4")
            numpy.copyto(single, values, casting="unsafe")
        result = self._result.of(values.size, f"u{self._target.size}")
        if self._target.name == "bfloat16":
            work = self._second if single is values else self._first
            _round_to_bfloat16(single, result, work.of(values.size, "u4"), no_nan=usual)
        else:
            numpy.copyto(result.view(self._target.name), single, casting="unsafe")
        if not usual:
            self._check(values, result)
        return result

    def _is_safe(self) -> bool:
        """Whether no value is NaN or too large, whatever the values are; a NaN matters to bfloat16 alone."""
        if self._source.floating and self._target.name == "bfloat16":
            return False
        most = _largest(self._source) if self._source.floating else _range(self._source)[1]
        return most <= _largest(self._target)

    def _check(self, values: Array, result: Array) -> None:
        """Raise if a finite value became infinite."""
        import numpy

        if self._target.name == "bfloat16":
            finite = (result & _INFINITE) != _INFINITE
        else:
            finite = numpy.isfinite(result.view(self._target.name))
        lost = numpy.isfinite(values) & ~finite
        if lost.any():
            value, limit = values[lost][0].item(), _largest(self._target)
            raise OpError(f"`{self._name}`: {value} does not fit into {self._target}, whose largest value is {limit}")

    def _whole(self, values: Array) -> Array:
        """The values in an integer type or bool. That they are in its range is checked by `finish`."""
        import numpy

        if values.dtype.kind == "f":
            whole = numpy.trunc(values, out=self._second.of(values.size, values.dtype))
            odd = numpy.not_equal(whole, values, out=self._result.of(values.size, "?"))
            if odd.any():
                value = values[odd][0].item()
                raise OpError(f"`{self._name}`: {value} is not a whole number, so it has no exact {self._target}")
        low, high = values.min().item(), values.max().item()
        self._low = low if self._low is None else min(self._low, low)
        self._high = high if self._high is None else max(self._high, high)
        result = self._result.of(values.size, self._target.name)
        numpy.copyto(result, values, casting="unsafe")
        return result.view(f"u{self._target.size}")


@cache
def _all_of_float16() -> Array:
    """Every value of float16 as float32, in the order of their bits."""
    import numpy

    with numpy.errstate(all="ignore"):
        return numpy.arange(65536, dtype="u2").view("f2").astype("f4")


@cache
def _all_of_float8(name: str) -> Array:
    """Every value of a float8 type as float32, in the order of their bits (after the OCP and ONNX tables of them)."""
    import numpy

    bits = numpy.arange(256)
    size = bits & 127
    if name == "float8_e8m0fnu":
        return numpy.where(bits < 255, numpy.ldexp(1.0, bits - 127), numpy.nan).astype("f4")
    digits, bias = (3, 7) if "e4m3" in name else (2, 15)
    unsigned_zero = name.endswith("fnuz")
    exponent, fraction = size >> digits, size & (2**digits - 1)
    whole = fraction + numpy.where(exponent > 0, 2**digits, 0)
    values = numpy.ldexp(whole.astype("f4"), numpy.maximum(exponent, 1) - bias - unsigned_zero - digits)
    if name == "float8_e5m2":
        values = numpy.where(size < 124, values, numpy.where(size == 124, numpy.inf, numpy.nan))
    values = numpy.where(bits < 128, values, -values)
    none = bits == 128 if unsigned_zero else size == 127
    return numpy.where(none, numpy.nan, values).astype("f4")


def _round_to_bfloat16(values: Array, result: Array, work: Array, *, no_nan: bool) -> None:
    """Round float32 values to nearest, ties to even; `work` is as many uint32, and may not be those of `values`."""
    import numpy

    bits = values.view("u4")
    numpy.right_shift(bits, 16, out=work)
    numpy.bitwise_and(work, 1, out=work)
    numpy.add(work, 0x7FFF, out=work)
    numpy.add(work, bits, out=work)
    # the upper halves, on a little-endian machine
    numpy.copyto(result, work.view("u2")[1::2])
    if not no_nan:
        none = numpy.isnan(values)
        result[none] = (bits[none] >> 16) | _QUIET


def _largest(dtype: DType) -> float:
    """The largest finite value of a float type of IEEE 754, or bfloat16."""
    return float((2 - 2.0 ** (1 - dtype.mantissa)) * 2.0 ** (2 ** (dtype.exponent - 1) - 1))


def _range(dtype: DType) -> tuple[int, int]:
    """The least and the largest value of an integer type or bool."""
    return -(2**dtype.mantissa) if dtype.kind == "int" else 0, 2**dtype.mantissa - 1


class _Buffer:
    """Memory for one block, kept for the next."""

    def __init__(self) -> None:
        self._memory: Array | None = None

    def of(self, count: int, dtype: Any) -> Array:
        """Room for `count` elements, not initialised."""
        import numpy

        size = count * numpy.dtype(dtype).itemsize
        if self._memory is None or self._memory.size < size:
            self._memory = numpy.empty(size, numpy.uint8)
        return self._memory[:size].view(dtype)


def constant(name: str, value: int | float, source: DType, target: DType) -> Callable[[], Array] | None:
    """What makes one element of `target` as `convert` makes it of `value` in `source`; None where only torch can.

    The function raises `OpError` if the value is not fit.
    """
    if value == 0 and isinstance(value, int) and target.name != "float8_e8m0fnu":
        return lambda: _bits(0, f"u{target.size}") if target.size < 16 else _bits(0, "c16")
    if not target.floating and target.name in _TARGETS and isinstance(value, int):
        return lambda: _bits(value, target.name).view(f"u{target.size}")
    if not target.floating or target.name not in _TARGETS:
        return None

    def made() -> Array:
        element = _bits(value, source.name).view(f"u{source.size}")
        return element if source == target else CastKernel(name, source, target)(element)

    return made


def everywhere(element: Array, like: Array) -> Array:
    """One element in the shape of `like`."""
    import numpy

    return numpy.broadcast_to(element.reshape(()), like.shape)


def _bits(value: int | float, dtype: str) -> Array:
    import numpy

    return numpy.array([value], dtype)
