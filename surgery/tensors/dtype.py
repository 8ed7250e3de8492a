"""Element types, by name, without torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DTYPES", "DType", "casts_exactly", "dtype_called"]


@dataclass(frozen=True, slots=True)
class DType:
    """An element type: its torch name, its size in bytes, and what kind of number it holds.

    `kind` is one of ``float``, ``int``, ``uint``, ``bool`` and ``complex``; ``opaque`` for what is not computed with,
    such as quantised and sparse tensors. `mantissa` counts the bits of exact integers (sign apart) and `exponent` the
    bits of range; both matter for casts.
    """

    name: str
    size: int
    kind: str
    mantissa: int
    exponent: int = 0

    @property
    def floating(self) -> bool:
        """Whether this is a real floating-point type."""
        return self.kind == "float"

    def __str__(self) -> str:
        return self.name


_ALL = [
    DType("float64", 8, "float", 53, 11),
    DType("float32", 4, "float", 24, 8),
    DType("float16", 2, "float", 11, 5),
    DType("bfloat16", 2, "float", 8, 8),
    DType("float8_e4m3fn", 1, "float", 4, 4),
    DType("float8_e4m3fnuz", 1, "float", 4, 4),
    DType("float8_e5m2", 1, "float", 3, 5),
    DType("float8_e5m2fnuz", 1, "float", 3, 5),
    DType("float8_e8m0fnu", 1, "float", 1, 8),
    DType("int64", 8, "int", 63),
    DType("int32", 4, "int", 31),
    DType("int16", 2, "int", 15),
    DType("int8", 1, "int", 7),
    DType("uint64", 8, "uint", 64),
    DType("uint32", 4, "uint", 32),
    DType("uint16", 2, "uint", 16),
    DType("uint8", 1, "uint", 8),
    DType("bool", 1, "bool", 1),
    DType("complex128", 16, "complex", 53, 11),
    DType("complex64", 8, "complex", 24, 8),
    DType("complex32", 4, "complex", 11, 5),
]

#: name -> element type, for every type that torch can store
DTYPES: dict[str, DType] = {dtype.name: dtype for dtype in _ALL}

_OTHER_NAMES = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "fp16": "float16",
    "fp32": "float32",
    "fp64": "float64",
    "bf16": "bfloat16",
    "fp8": "float8_e4m3fn",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "byte": "uint8",
    "boolean": "bool",
}


def dtype_called(word: str) -> str | None:
    """The dtype that people mean by a word that is no dtype's name; None for any other word.

    >>> dtype_called("bf16"), dtype_called("half")
    ('bfloat16', 'float16')
    """
    return word if word in DTYPES else _OTHER_NAMES.get(word.lower())


_IEEE = {"float64", "float32", "float16", "bfloat16", "float8_e5m2"}


def casts_exactly(source: DType, target: DType) -> bool:
    """Whether every value of `source` is also a value of `target`, so that a cast changes nothing.

    >>> casts_exactly(DTYPES["bfloat16"], DTYPES["float32"]), casts_exactly(DTYPES["float32"], DTYPES["float16"])
    (True, False)
    """
    if source == target:
        return True
    if "opaque" in (source.kind, target.kind):
        return False
    if source.kind == "bool":
        return True
    if target.kind == "bool":
        return False
    if source.kind in ("int", "uint"):
        if target.kind == "uint" and source.kind == "int":
            return False
        if target.kind in ("int", "uint"):
            return target.mantissa >= source.mantissa
        # a float holds whole numbers of up to `mantissa` bits, if its range reaches them
        return target.mantissa >= source.mantissa and 2 ** (target.exponent - 1) > source.mantissa
    if source.kind == "complex" and target.kind != "complex":
        return False
    if target.kind in ("int", "uint"):
        return False
    fits = target.mantissa >= source.mantissa and target.exponent >= source.exponent
    return fits and (target.name in _IEEE or target.kind == "complex")
