"""numpy arrays in a pickle, as ``ndarray.__reduce__`` describes them: a call, and a state with the bytes."""

from __future__ import annotations

from typing import Any

from surgery.formats.contents import Placeholder, Trait
from surgery.tensors.spec import Spec

__all__ = ["array_parts", "is_array"]

#: dtype -> numpy's type code; of the others, the name of the class in the package ml_dtypes
_CODES = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "b1",
    "complex128": "c16",
    "complex64": "c8",
}


def is_array(trait: Trait | None) -> bool:
    """Whether what is known of a tensor says that it is to be a numpy array. Tensors of a state dict never are."""
    return trait is not None and trait.form == "array"


def array_parts(spec: Spec, content: bytes) -> tuple[tuple[str, str], tuple[Any, ...], tuple[Any, ...]]:
    """The function that makes the array, as module and name; its arguments; and the state that fills it."""
    args = (Placeholder("numpy", "ndarray"), (0,), b"b")
    state = (1, spec.shape, _dtype(spec), False, content)
    return ("numpy.core.multiarray", "_reconstruct"), args, state


def _dtype(spec: Spec) -> Placeholder:
    code = _CODES.get(spec.dtype.name)
    if code is None:
        return Placeholder("numpy", "dtype", (Placeholder("ml_dtypes", spec.dtype.name), False, True))
    order = "<" if spec.dtype.size > 1 else "|"
    return Placeholder("numpy", "dtype", (code, False, True), (3, order, None, None, None, -1, -1, 0))
