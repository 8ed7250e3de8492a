"""What numpy's pickles call, as descriptions: arrays.

After ``numpy/_core/multiarray.py`` and ``ndarray.__reduce__``. An array is made empty (``_reconstruct``) and then given
its state: version, shape, dtype, whether in Fortran order, and its bytes. Those bytes stand in the pickle itself, so
the array is a byte range of the file like any tensor; where they do not stand there as they are (a pickle of protocol
0 to 2 writes them as text), the array is made in memory. Arrays of objects, texts and records stay placeholders.
"""

from __future__ import annotations

from typing import Any

from surgery.formats.contents import Blob, Placeholder, Trait
from surgery.formats.pickles.machine import Builder, Finisher, LocatedBytes, LocatedText, Malformed
from surgery.formats.pickles.tensors import Tensors, is_size, view
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.expr import ByteRange, Held, TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["ARRAY_DTYPES", "Arrays", "array_in_memory", "fortran_strides", "row_strides"]

#: numpy's type codes -> dtype
ARRAY_DTYPES: dict[str, DType] = {
    code: DTYPES[name]
    for code, name in {
        "f8": "float64",
        "f4": "float32",
        "f2": "float16",
        "i8": "int64",
        "i4": "int32",
        "i2": "int16",
        "i1": "int8",
        "u8": "uint64",
        "u4": "uint32",
        "u2": "uint16",
        "u1": "uint8",
        "b1": "bool",
        "c16": "complex128",
        "c8": "complex64",
    }.items()
}
#: types of the package ml_dtypes, which numpy names by their class
_ML_DTYPES = {name: DTYPES[name] for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu")}
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


class Arrays:
    """Makes the arrays of one file.

    Attributes:
        builders, finishers: numpy's functions, by name.
    """

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self.builders: dict[tuple[str, str], Builder] = {("_codecs", "encode"): _encode}
        for module in ("__builtin__", "builtins"):
            self.builders[module, "bytes"] = _empty_bytes(module)
        self.finishers: dict[tuple[str, str], Finisher] = {}
        for module in _MODULES:
            self.finishers[module, "_reconstruct"] = self._array
        for module in ("numpy.core.numeric", "numpy._core.numeric"):
            self.builders[module, "_frombuffer"] = self._from_buffer(module)

    def _array(self, made: Placeholder, state: Any) -> TensorExpr | None:
        """The array of a state; None where it is of a kind that stays a placeholder."""
        if type(state) is not tuple or len(state) != 5:
            raise Malformed("an array's state is not what numpy writes")
        _, shape, dtype, fortran, data = state
        known = _dtype(dtype)
        return self._make(shape, *known, fortran is True, data) if known else None

    def _from_buffer(self, module: str) -> Builder:
        def build(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Any:
            known = _dtype(dtype)
            if known is None or order not in ("C", "F") or axes is not None:
                return Placeholder(module, "_frombuffer", (data, dtype, shape, order))
            return self._make(shape, *known, order == "F", data)

        return build

    def _make(self, shape: Any, dtype: DType, big_endian: bool, fortran: bool, data: Any) -> TensorExpr:
        if type(shape) is not tuple or not all(map(is_size, shape)):
            raise Malformed("an array's shape is none")
        spec = Spec(shape, dtype)
        strides = fortran_strides(shape) if fortran else row_strides(shape)
        where, raw = _bytes(data)
        if (where.length if where else len(raw)) != spec.nbytes:
            raise Malformed(f"an array of {spec} has not as many bytes as it should")
        if where is not None:
            made = view(spec, where, 0, strides, big_endian=big_endian)
        else:
            made = array_in_memory(spec, raw, big_endian=big_endian, fortran=fortran)
        self._tensors.traits[made] = Trait("array")
        return made


def row_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of a tensor whose last index runs fastest.

    >>> row_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides, stride = [], 1
    for size in reversed(shape):
        strides.append(stride)
        stride *= max(size, 1)
    return tuple(reversed(strides))


def fortran_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of an array in Fortran order: the first index runs fastest."""
    return tuple(reversed(row_strides(tuple(reversed(shape)))))


def _dtype(described: Any) -> tuple[DType, bool] | None:
    """The dtype that ``numpy.dtype(code, False, True)`` with its state stands for, and whether it is big-endian."""
    if type(described) is not Placeholder or (described.module, described.name) != ("numpy", "dtype"):
        return None
    if not described.args:
        return None
    code, state = described.args[0], described.state
    if type(code) is Placeholder:
        known = _ML_DTYPES.get(code.name) if code.module == "ml_dtypes" else None
    else:
        known = ARRAY_DTYPES.get(code.lstrip("<>=|")) if isinstance(code, str) else None
    if known is None:
        return None
    order = state[1] if type(state) is tuple and len(state) > 1 else "<"
    return known, order == ">"


def _bytes(data: Any) -> tuple[ByteRange | None, bytes]:
    """Where an array's bytes stand, or the bytes themselves."""
    if type(data) is Placeholder and data.name == "bytearray" and data.args:
        data = data.args[0]
    if type(data) is Blob:
        return data.range, b""
    if isinstance(data, LocatedBytes | LocatedText) and data.range is not None:
        return data.range, b""
    if isinstance(data, bytes):
        return None, data
    if isinstance(data, str):
        return None, data.encode("latin-1")
    raise Malformed("an array has no bytes")


def array_in_memory(spec: Spec, raw: bytes | bytearray, *, big_endian: bool, fortran: bool) -> TensorExpr:
    """An array of bytes that do not stand in a file as they are: `raw` itself, not a copy.

    Raises:
        Malformed: numpy has no such elements.
    """
    import numpy

    codes = {dtype.name: code for code, dtype in ARRAY_DTYPES.items()}
    if spec.dtype.name not in codes:
        raise Malformed(f"an array of {spec} is not written as bytes")
    stored = numpy.dtype(codes[spec.dtype.name]).newbyteorder(">" if big_endian else "<")
    return Held(spec, numpy.frombuffer(raw, stored).reshape(spec.shape, order="F" if fortran else "C"))


def _empty_bytes(module: str) -> Builder:
    """``bytes()``: how empty bytes are written before protocol 3."""
    return lambda *args: Placeholder(module, "bytes", args) if args else b""


def _encode(text: Any, encoding: Any = "utf-8") -> Any:
    """``_codecs.encode(text, 'latin1')``: how bytes are written before protocol 3."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Malformed("bytes are written in a way that no pickler uses")
    return text.encode("latin-1")
