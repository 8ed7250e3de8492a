"""numpy's ``.npy``: a header that gives type, order and shape, and the elements; or a pickle, where those are objects.

After ``numpy/lib/format.py``. The header is Python text, such as ``{'descr': '<f4', 'fortran_order': False, 'shape':
(3, 4), }``; it is matched as such, and not evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.formats.contents import Checkpoint, Placeholder, Trait
from surgery.formats.detect import FORMATS, Format
from surgery.formats.file import File
from surgery.formats.pickled import read_pickle
from surgery.formats.pickles.arrays import ARRAY_DTYPES, fortran_strides, row_strides
from surgery.formats.pickles.machine import Malformed, Unsupported, reading
from surgery.formats.pickles.tensors import Tensors, view
from surgery.tensors.expr import ByteRange, TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["MAGIC", "ArrayHeader", "Npy", "array_header"]

MAGIC = b"\x93NUMPY"
_HEADER = re.compile(
    rb"\{\s*'descr':\s*(?P<descr>'[^']*'|\[.*\]),\s*"
    rb"'fortran_order':\s*(?P<order>True|False),\s*'shape':\s*\((?P<shape>[\d,L ]*)\),?\s*\}\s*"
)
_LONGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """The header of an array: what it is, and how long the header is. `spec` is None for an array of objects."""

    spec: Spec | None
    big_endian: bool
    fortran: bool
    shape: tuple[int, ...]
    length: int

    @property
    def strides(self) -> tuple[int, ...]:
        """In elements."""
        return fortran_strides(self.shape) if self.fortran else row_strides(self.shape)

    def tensor(self, where: ByteRange) -> TensorExpr:
        """The array whose elements are the bytes `where`."""
        assert self.spec is not None, "an array of numbers"
        if where.length != self.spec.nbytes:
            raise Malformed(f"an array of {self.spec} takes {self.spec.nbytes} bytes, and {where.length} are there")
        return view(self.spec, where, 0, self.strides, big_endian=self.big_endian)


def array_header(raw: bytes) -> ArrayHeader:
    """The header that `raw` begins with.

    Raises:
        Malformed: there is none.
        Unsupported: the array is of texts, dates or records.
    """
    wide = raw[6:7] > b"\x01"
    start = 12 if wide else 10
    length = start + int.from_bytes(raw[8:start], "little")
    if not raw.startswith(MAGIC) or length > min(len(raw), _LONGEST):
        raise Malformed("the header of an array is damaged")
    found = _HEADER.fullmatch(raw[start:length])
    if found is None:
        raise Malformed("the header of an array is damaged")
    shape = tuple(int(size) for size in found["shape"].replace(b"L", b"").replace(b" ", b"").split(b",") if size)
    descr = found["descr"].decode("latin-1").strip("'")
    order, code = descr[:1], descr[1:]
    fortran = found["order"] == b"True"
    if code.startswith("O"):
        return ArrayHeader(None, False, fortran, shape, length)
    dtype = ARRAY_DTYPES.get(code)
    if dtype is None or order not in "<>|=":
        raise Unsupported(f"an array has elements of the type `{descr}`, which torch does not have")
    return ArrayHeader(Spec(shape, dtype), order == ">", fortran, shape, length)


@FORMATS.register("npy")
class Npy(Format):
    """A file of ``numpy.save``: an array, or, as some publish a dict of arrays, an object."""

    title: ClassVar[str] = "npy"

    @classmethod
    def matches(cls, file: File) -> bool:
        return file.head.startswith(MAGIC)

    @classmethod
    def read(cls, file: File) -> Checkpoint:
        tensors = Tensors()
        with reading(file):
            header = array_header(file.read(0, _LONGEST))
            if header.spec is not None:
                tree: Any = header.tensor(file.locate(header.length, file.size - header.length))
                tensors.traits[tree] = Trait("array")
            else:
                tree = _single(read_pickle(file, header.length, tensors))
        return Checkpoint.of(file, "npy", tree, traits=tensors.traits)


def _single(tree: Any) -> Any:
    """The one object of an array without dimensions; any other array of objects as it is."""
    if isinstance(tree, Placeholder) and isinstance(tree.state, tuple) and len(tree.state) == 5:
        _, shape, _, _, objects = tree.state
        if shape == () and isinstance(objects, list) and len(objects) == 1:
            return objects[0]
    return tree
