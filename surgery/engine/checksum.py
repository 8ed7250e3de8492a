"""CRC-32 of joined pieces from the CRC-32 of each, so that pieces can be read in any order and on several threads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

__all__ = ["combine"]

_POLYNOMIAL = 0xEDB88320


def combine(pieces: Iterable[tuple[int, int]]) -> int:
    """The CRC-32 of the concatenation of pieces, each given as its CRC-32 and its length in bytes.

    >>> import zlib
    >>> combine([(zlib.crc32(b"sur"), 3), (zlib.crc32(b"gery"), 4)]) == zlib.crc32(b"surgery")
    True
    """
    whole = 0
    for crc, length in pieces:
        whole = _times(_power(8 * length), whole) ^ crc
    return whole


def _times(a: int, b: int) -> int:
    """The product of two polynomials modulo the CRC's; bit 31 is the coefficient of x to the 0."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


@cache
def _square(exponent: int) -> int:
    """x to the power of 2 to the `exponent`."""
    if exponent == 0:
        return 1 << 30
    root = _square(exponent - 1)
    return _times(root, root)


@cache
def _power(bits: int) -> int:
    """x to the power of `bits`."""
    result, exponent = 1 << 31, 0
    while bits:
        if bits & 1:
            result = _times(result, _square(exponent))
        bits >>= 1
        exponent += 1
    return result
