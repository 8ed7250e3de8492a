"""What operations that compute share: the precision they compute in, and casts that lose nothing unnoticed."""

from __future__ import annotations

from math import frexp
from typing import TYPE_CHECKING

from surgery.ops.base import OpError
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["bits", "convert", "spec_of", "torch_dtype", "widened"]


def spec_of(tensor: Tensor) -> Spec:
    """Shape and dtype of a tensor."""
    return Spec(tuple(tensor.shape), DTYPES[str(tensor.dtype).removeprefix("torch.")])


def torch_dtype(name: str) -> torch.dtype:
    """torch's dtype of that name."""
    import torch

    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype), name
    return dtype


def widened(tensor: Tensor) -> Tensor:
    """The tensor in the precision that it is computed with: float32 for 16-bit floats, else as it is."""
    import torch

    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def convert(name: str, tensor: Tensor, target: torch.dtype) -> Tensor:
    """The tensor in another dtype, rounded to nearest where that has fewer digits; `name` is the operation's.

    Raises:
        OpError: a finite value would become infinite or NaN or wrap around, a fraction or an imaginary part be cut off.
    """
    if tensor.dtype == target or not tensor.numel():
        return tensor.to(target)
    if tensor.is_complex() or target.is_complex:
        return _complex(name, tensor, target)
    return _real(name, tensor, target) if target.is_floating_point else _whole(name, tensor, target)


def _complex(name: str, tensor: Tensor, target: torch.dtype) -> Tensor:
    import torch

    if not tensor.is_complex():
        return convert(name, tensor, target.to_real()).to(target)
    parts = torch.view_as_real(tensor.resolve_conj())
    if target.is_complex:
        return torch.view_as_complex(convert(name, parts, target.to_real()).contiguous())
    if bool((parts[..., 1] != 0).any()):
        raise OpError(f"`{name}` to {_name(target)} would cut off an imaginary part")
    return convert(name, parts[..., 0], target)


def _plain(tensor: Tensor) -> Tensor:
    """The same values in a dtype that torch can compare: float8 as float32, unsigned ones as int64."""
    import torch

    if tensor.is_floating_point():
        return tensor.float() if tensor.dtype.itemsize == 1 else tensor
    if tensor.dtype == torch.uint64:
        signed = tensor.view(torch.int64)
        return tensor.double() if bool((signed < 0).any()) else signed
    return tensor.long() if tensor.dtype in (torch.bool, torch.uint16, torch.uint32) else tensor


def _real(name: str, tensor: Tensor, target: torch.dtype) -> Tensor:
    import torch

    result, limit = tensor.to(target), torch.finfo(target).max
    values = _plain(tensor)
    low, high = (bound.item() for bound in torch.aminmax(values))
    if target == torch.float8_e8m0fnu and not low > 0:
        raise OpError(f"`{name}`: {low} does not exist in {_name(target)}, which holds positive values only")
    if -limit <= low and high <= limit:
        return result
    after = _plain(result)  # only here are temporaries made: a value is near the limit, infinite, or NaN
    lost = (values.isfinite() & ~after.isfinite()) | (values.isinf() & ~after.isinf())
    if target.itemsize == 1:
        lost |= values.double().abs() > _edge(target)
    if bool(lost.any()):
        value = values[lost][0].item()
        raise OpError(f"`{name}`: {value} does not fit into {_name(target)}, whose largest value is {limit}")
    return result


def _edge(target: torch.dtype) -> float:
    """Beyond this a value rounds to more than the largest one: half a step above it.

    It tells an overflow where the result doesn't: some releases of torch make the largest value of float8_e4m3fn of
    what is larger, infinity included.
    """
    import torch

    limit, digits = float(torch.finfo(target).max), DTYPES[_name(target)].mantissa
    return limit + 2.0 ** (frexp(limit)[1] - digits) / 2


def _whole(name: str, tensor: Tensor, target: torch.dtype) -> Tensor:
    import torch

    values = _plain(tensor)
    if values.is_floating_point():
        odd = values != values.trunc()
        if bool(odd.any()):
            value = values[odd][0].item()
            raise OpError(f"`{name}`: {value} is not a whole number, so it has no exact {_name(target)}")
    low, high = (bound.item() for bound in torch.aminmax(values))
    least, most = (0, 1) if target == torch.bool else (torch.iinfo(target).min, torch.iinfo(target).max)
    for value in (low, high):
        if not least <= value <= most:
            raise OpError(f"`{name}`: {value} does not fit into {_name(target)}, which goes from {least} to {most}")
    return tensor.to(target)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def bits(tensor: Tensor) -> Tensor:
    """The same bytes in a dtype that every torch function moves: float8 and unsigned types as plain integers."""
    import torch

    plain = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    odd = tensor.dtype.itemsize == 1 or tensor.dtype in (torch.uint16, torch.uint32, torch.uint64, torch.complex32)
    return tensor.view(plain[tensor.dtype.itemsize]) if odd else tensor
