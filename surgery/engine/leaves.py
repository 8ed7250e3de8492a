"""Leaves of expressions as bytes and as tensors: read from files, taken from the caller, or initialised."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import escape, fail
from surgery.engine.reading import SourceFiles
from surgery.engine.scratch import Scratch, empty
from surgery.tensors.expr import Held, Initial, Stored, Strided, TensorExpr

if TYPE_CHECKING:
    import numpy
    from torch import Tensor

__all__ = ["bytes_of_tensor", "leaf_tensor", "needs_torch", "numpy_bytes"]

#: producers may use random generators, which are drawn from one at a time
_PRODUCING = threading.Lock()


def needs_torch(expr: TensorExpr) -> bool:
    """Whether the bytes of `expr` cannot be had from files or numpy alone."""
    if isinstance(expr, Held):
        return not _is_numpy(expr.tensor)
    return not isinstance(expr, Stored | Strided)


def _is_numpy(tensor: Any) -> bool:
    return type(tensor).__module__.split(".")[0] == "numpy"


def numpy_bytes(expr: TensorExpr, files: SourceFiles) -> memoryview:
    """The bytes of a leaf that needs no torch, contiguous and little-endian."""
    if isinstance(expr, Stored):
        content = memoryview(bytearray(expr.spec.nbytes))
        _read(expr, content, files)
        return content
    if isinstance(expr, Strided):
        return _view(_gathered(expr, files))
    assert isinstance(expr, Held), expr
    import numpy

    array = numpy.ascontiguousarray(expr.tensor)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return _view(little.reshape(-1).view(numpy.uint8))


def _view(array: Any) -> memoryview:
    """The bytes of a numpy array of bytes."""
    return memoryview(array).cast("B") if array.size else memoryview(b"")


def _read(expr: Stored, view: memoryview, files: SourceFiles) -> None:
    at = 0
    for piece in expr.ranges:
        files.read_into(piece, view[at : at + piece.length])
        at += piece.length


def _gathered(expr: Strided, files: SourceFiles) -> numpy.ndarray[Any, Any]:
    """The elements of a strided tensor in order, as little-endian bytes."""
    import numpy

    size = expr.spec.dtype.size
    shape = expr.spec.shape
    if not expr.spec.numel:
        return numpy.empty(0, numpy.uint8)
    last = sum((length - 1) * stride for length, stride in zip(shape, expr.strides, strict=True))
    first, length = expr.offset * size, (last + 1) * size
    piece = expr.storage.part(first, length)
    raw = numpy.empty(length, numpy.uint8)
    files.read_into(piece, _view(raw))
    # complex numbers are pairs, each part in the byte order of the file
    parts = 2 if expr.spec.dtype.kind == "complex" else 1
    elements = raw.view(f"u{size // parts}") if size // parts > 1 else raw
    step = size // parts
    strides = (*(stride * size for stride in expr.strides), step)
    gathered = numpy.lib.stride_tricks.as_strided(elements, (*shape, parts), strides)
    ordered = gathered.byteswap() if expr.big_endian else numpy.ascontiguousarray(gathered)
    return ordered.reshape(-1).view(numpy.uint8)


def leaf_tensor(expr: TensorExpr, files: SourceFiles, scratch: Scratch | None = None) -> Tensor:
    """A leaf as a tensor on the CPU. It may share storage with a `Held` tensor, or lie in `scratch`.

    Raises:
        SurgeryError: codes ``source-changed``, ``corrupt-checkpoint``, ``execution``.
    """
    if isinstance(expr, Held) and not _is_numpy(expr.tensor):
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
    tensor = scratch.take(expr.spec) if scratch is not None else empty(expr.spec)
    if isinstance(expr, Stored):
        _read(expr, bytes_of_tensor(tensor), files)
    else:
        bytes_of_tensor(tensor)[:] = numpy_bytes(expr, files)
    return tensor


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
            plain = scratch.take(spec_of(plain)).copy_(plain) if scratch is not None else plain.contiguous()
        # with one element or none a contiguous tensor may have any stride (an expanded one has 0)
        flat = plain.as_strided((plain.numel(),), (1,))
        return _view(flat.view(torch.uint8).numpy())
    except (RuntimeError, TypeError) as error:
        what = f"{escape(type(tensor).__name__)}, {tensor.dtype}"
        raise fail("execution", f"the bytes of a tensor cannot be had ({what}): {error}", cause=error) from error
