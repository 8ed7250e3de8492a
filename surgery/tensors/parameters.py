"""Which tensors of a state dict are parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["first_names", "is_parameter"]

#: buffers of torch's own normalisation layers, by their names, where nothing else tells what is a buffer
_BUFFERS = {"running_mean", "running_var", "num_batches_tracked"}


def is_parameter(key: str, spec: Spec, kind: str | None) -> bool:
    """Whether a tensor is a parameter.

    A bare state dict does not say what its tensors are (`kind` is None). Then one of floating point is a parameter,
    unless it bears a name that torch's normalisation layers give to their buffers.

    >>> from surgery.tensors.dtype import DTYPES
    >>> is_parameter("bn1.running_mean", Spec((64,), DTYPES["float32"]), None)
    False
    """
    if kind is not None:
        return kind == "parameter"
    return key.rpartition(".")[2] not in _BUFFERS and spec.dtype.kind in ("float", "complex")


def first_names(items: Iterable[tuple[str, TensorExpr]]) -> Iterator[str]:
    """The first name of each tensor: what is tied has several, and counts once."""
    seen: set[int] = set()
    for key, expr in items:
        if id(expr) not in seen:
            seen.add(id(expr))
            yield key
