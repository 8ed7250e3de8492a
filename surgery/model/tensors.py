"""Tensors of a model as expressions: specifications, also of unusual ones, and which names share one tensor."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from surgery.model.building import LAZY, is_opaque
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.spec import Spec

__all__ = ["identity", "spec_of"]


def spec_of(tensor: Tensor) -> Spec:
    """Shape and dtype of any tensor.

    A quantised, sparse or lazy tensor, or one of a class of its own, has a dtype that is not among `DTYPES`: it can be
    renamed and moved, and operations that compute refuse it by name. The shape of a lazy one is not known: ``[]``.

    >>> str(spec_of(torch.zeros(2, 3))), str(spec_of(torch.zeros(2, 3).to_sparse()))
    ('float32 [2, 3]', 'sparse_coo float32 [2, 3]')
    """
    name = str(tensor.dtype).removeprefix("torch.")
    if isinstance(tensor, LAZY):
        return Spec((), DType(f"lazy {name}", 0, "opaque", 0))
    shape = tuple(int(size) for size in tensor.shape)
    if not is_opaque(tensor) and name in DTYPES:
        return Spec(shape, DTYPES[name])
    if tensor.layout != torch.strided:
        what = f"{str(tensor.layout).removeprefix('torch.')} {name}"
    elif tensor.is_quantized or name not in DTYPES:
        what = name
    else:
        what = f"{type(tensor).__name__} {name}"
    return Spec(shape, DType(what, tensor.dtype.itemsize, "opaque", 0))


def identity(tensor: Tensor) -> Hashable:
    """What two names of one tensor share: the object; or storage, offset, shape, strides and dtype."""
    if tensor.is_meta or is_opaque(tensor) or not tensor.numel():
        return id(tensor)
    storage = tensor.untyped_storage().data_ptr()
    place = (storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    return (str(tensor.device), tensor.dtype, *place) if storage else id(tensor)
