"""The tensors that a checkpoint describes, read independently of the engine, to compare them with what torch reads."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from surgery.tensors.expr import ByteRange, Held, Stored, Strided, TensorExpr


class Damaged(Exception):
    """A checksum that the plan knows does not match: what the engine would report."""


def _bytes(piece: ByteRange) -> bytes:
    with open(piece.path, "rb") as file:
        file.seek(piece.offset)
        data = file.read(piece.length)
    if len(data) != piece.length or (piece.crc is not None and zlib.crc32(data) != piece.crc):
        raise Damaged
    return data


def _swapped(raw: bytes, size: int) -> bytes:
    return b"".join(raw[at : at + size][::-1] for at in range(0, len(raw), size))


def _tensor(expr: TensorExpr) -> torch.Tensor:
    dtype = getattr(torch, expr.spec.dtype.name)
    if isinstance(expr, Held):
        return torch.from_numpy(expr.tensor.astype(expr.tensor.dtype.newbyteorder("<"))).view(dtype)
    if isinstance(expr, Stored):
        raw = b"".join(_bytes(piece) for piece in expr.ranges)
        assert len(raw) == expr.spec.nbytes
        if not raw:
            return torch.empty(expr.spec.shape, dtype=dtype)
        return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(dtype).reshape(expr.spec.shape)
    assert isinstance(expr, Strided)
    raw = _bytes(expr.storage)
    if expr.big_endian:
        raw = _swapped(raw, expr.spec.dtype.size // (2 if dtype.is_complex else 1))
    storage = torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(dtype)
    return torch.as_strided(storage, expr.spec.shape, expr.strides, expr.offset)


@pytest.fixture(scope="session")
def tensor() -> Callable[[TensorExpr], torch.Tensor]:
    """The tensor of an expression; `Damaged` where a known checksum does not match."""
    return _tensor


def _same(got: Any, expected: torch.Tensor) -> bool:
    """Equal to the bit, whatever the dtype (NaNs included)."""
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return False
    return bytes(got.contiguous().reshape(-1).view(torch.uint8).numpy()) == bytes(
        expected.contiguous().reshape(-1).resolve_conj().view(torch.uint8).numpy()
    )


@pytest.fixture(scope="session")
def same() -> Callable[[torch.Tensor, torch.Tensor], bool]:
    """Whether two tensors are equal to the bit."""
    return _same


@pytest.fixture(scope="session")
def damaged() -> type[Exception]:
    """The exception for a checksum that does not match."""
    return Damaged
