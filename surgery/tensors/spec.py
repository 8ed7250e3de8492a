"""What is known of a tensor before its data is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

from surgery.tensors.dtype import DType

__all__ = ["Spec", "format_bytes", "format_shape", "parse_bytes"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)B?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spec:
    """A shape and an element type. No torch is needed for it.

    >>> from surgery.tensors.dtype import DTYPES
    >>> str(Spec((64, 3, 7, 7), DTYPES["float32"]))
    'float32 [64, 3, 7, 7]'
    """

    shape: tuple[int, ...]
    dtype: DType

    @property
    def numel(self) -> int:
        """How many elements; 1 for a 0-dimensional tensor."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the elements take, stored one after the other."""
        return self.numel * self.dtype.size

    def __str__(self) -> str:
        return f"{self.dtype} {format_shape(self.shape)}"


def format_shape(shape: tuple[int, ...]) -> str:
    """A shape as torch prints it: ``[64, 3, 7, 7]``."""
    return f"[{', '.join(map(str, shape))}]"


def format_bytes(count: int) -> str:
    """A number of bytes for people, in powers of 1000.

    >>> format_bytes(44_700_000), format_bytes(512)
    ('44.7 MB', '512 B')
    """
    if count < 1000:
        return f"{count} B"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} EB"


def parse_bytes(value: object) -> int | None:
    """The number of bytes that an integer, or text such as ``5GB``, means, in powers of 1000; None where it means none.

    >>> parse_bytes("1.5 MB"), parse_bytes(4096), parse_bytes("much")
    (1500000, 4096, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(float(match[1]) * _UNITS[match[2].upper()]) if match else None
