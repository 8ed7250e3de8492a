"""Leaves of expressions as arrays, tensors and bytes: read from files, taken from the caller, or initialised."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import escape, fail
from surgery.engine.reading import SourceFiles
from surgery.engine.scratch import Scratch
from surgery.engine.tiles import copy
from surgery.ops.arithmetic import torch_dtype
from surgery.tensors.dtype import DType
from surgery.tensors.expr import Held, Initial, Stored, Strided, TensorExpr
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.ops.ways import Array

__all__ = ["Swap", "array_of", "bytes_of_tensor", "element", "is_array", "leaf_tensor", "reach", "view_of"]

#: producers may use random generators, which are drawn from one at a time
_PRODUCING = threading.Lock()


def is_array(tensor: Any) -> bool:
    """Whether what a caller holds is an array of numpy."""
    return type(tensor).__module__.split(".")[0] == "numpy"


def element(dtype: DType) -> str:
    """What holds an element in an array whose elements are only moved: an unsigned integer of its size."""
    return "c16" if dtype.size == 16 else f"u{dtype.size}"


def view_of(array: Array) -> memoryview:
    """The bytes of a contiguous array."""
    return memoryview(array.data).cast("B") if array.size else memoryview(b"")


class Swap:
    """A kernel that reverses the bytes of numbers of `size` bytes, parts of complex numbers among them."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, block: Array) -> Array:
        return block.view(f"u{self.size}").byteswap().view(block.dtype)

    def finish(self) -> None:
        pass


def array_of(expr: TensorExpr, files: SourceFiles, scratch: Scratch) -> tuple[Array, Swap | None]:
    """A strided leaf, or an array that is held, as an array of opaque elements; and what puts its bytes in order.

    Raises:
        SurgeryError: codes ``source-changed`` and ``corrupt-checkpoint``.
    """
    # complex numbers are pairs, each part in the byte order of the file
    swap = Swap(expr.spec.dtype.size // (2 if expr.spec.dtype.kind == "complex" else 1))
    if isinstance(expr, Strided):
        return _strided(expr, files, scratch), swap if expr.big_endian and swap.size > 1 else None
    import numpy

    assert isinstance(expr, Held), expr
    array = numpy.asarray(expr.tensor)
    foreign = array.dtype.newbyteorder("<") != array.dtype
    return array.view(element(expr.spec.dtype)), swap if foreign else None


def reach(expr: Strided) -> int:
    """How many elements lie from the first to the last of a strided tensor."""
    if not expr.spec.numel:
        return 0
    return 1 + sum((length - 1) * stride for length, stride in zip(expr.spec.shape, expr.strides, strict=True))


def _strided(expr: Strided, files: SourceFiles, scratch: Scratch) -> Array:
    import numpy

    size, shape = expr.spec.dtype.size, expr.spec.shape
    if not expr.spec.numel:
        return numpy.empty(shape, element(expr.spec.dtype))
    first, length = expr.offset * size, reach(expr) * size
    whole = first == 0 and length == expr.storage.length
    piece = expr.storage if whole else expr.storage.part(first, length)
    raw = scratch.take(length).view(element(expr.spec.dtype))
    files.read_into(piece, view_of(raw))
    return numpy.lib.stride_tricks.as_strided(raw, shape, [stride * size for stride in expr.strides])


def leaf_tensor(expr: TensorExpr, files: SourceFiles, scratch: Scratch | None = None) -> Tensor:
    """A leaf as a tensor on the CPU. It may share storage with a `Held` tensor, or lie in `scratch`.

    Raises:
        SurgeryError: codes ``source-changed``, ``corrupt-checkpoint``, ``execution``.
    """
    if isinstance(expr, Held) and not is_array(expr.tensor):
        if expr.spec.dtype.kind == "opaque":
            unusual: Tensor = expr.tensor
            return unusual
        if expr.tensor.device.type == "meta":
            raise fail("execution", "a tensor that was given is on the meta device: it has no data")
        held: Tensor = expr.tensor.detach()
        return held
    if isinstance(expr, Initial):
        with _PRODUCING:
            produced: Tensor = expr.producer.produce(expr.name).detach()
            return produced
    tensor = _empty(expr.spec, scratch)
    if isinstance(expr, Stored):
        files.read_all(expr.ranges, bytes_of_tensor(tensor))
    elif tensor.numel():
        _order(expr, files, scratch or Scratch(), bytes_of_tensor(tensor))
    return tensor


def _order(expr: TensorExpr, files: SourceFiles, scratch: Scratch, view: memoryview) -> None:
    """Put the elements of a leaf that is no contiguous tensor in order."""
    import numpy

    array, swap = array_of(expr, files, scratch)
    ordered = numpy.frombuffer(view, array.dtype)
    copy(ordered.reshape(array.shape), array)
    if swap is not None:
        ordered[:] = swap(ordered)


def _empty(spec: Spec, scratch: Scratch | None) -> Tensor:
    """An uninitialised contiguous tensor."""
    import torch

    dtype = torch_dtype(spec.dtype.name)
    if scratch is None or not spec.numel:
        return torch.empty(spec.shape, dtype=dtype)
    return torch.from_numpy(scratch.take(spec.nbytes)).view(dtype).view(spec.shape)


def bytes_of_tensor(tensor: Tensor, scratch: Scratch | None = None) -> memoryview:
    """The bytes of a tensor: its own memory where it is contiguous and on the CPU, else a copy (in `scratch`).

    Raises:
        SurgeryError: code ``execution``: it has no bytes of its own (a subclass, a sparse or quantised tensor).
    """
    import torch

    from surgery.ops.arithmetic import spec_of

    try:
        plain = tensor.detach().cpu().resolve_conj().resolve_neg()
        if not plain.is_contiguous():
            plain = _empty(spec_of(plain), scratch).copy_(plain)
        # with one element or none a contiguous tensor may have any stride (an expanded one has 0)
        flat = plain.as_strided((plain.numel(),), (1,))
        return view_of(flat.view(torch.uint8).numpy())
    except (RuntimeError, TypeError) as error:
        what = f"{escape(type(tensor).__name__)}, {tensor.dtype}"
        raise fail("execution", f"the bytes of a tensor cannot be had ({what}): {error}", cause=error) from error
