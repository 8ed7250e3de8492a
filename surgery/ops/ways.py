"""How an operation is done on numpy arrays: importing torch takes longer than a gigabyte takes to be copied.

Elements are opaque here: an array holds them as unsigned integers of their size (complex128 as itself), whatever their
dtype. Results are those of `surgery.ops.base.Op.apply`, bit for bit; only the payload of a NaN may differ after a cast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy

__all__ = ["Array", "Assembly", "Elementwise", "Kernel", "Views", "Way", "along"]

#: an array of numpy, whose elements mean nothing
Array: TypeAlias = "numpy.ndarray[Any, Any]"


@dataclass(frozen=True, slots=True)
class Views:
    """The results are views of the only input.

    Attributes:
        of: from the input to the results. Their shapes may be others than planned, as long as the order of elements is
            the planned one.
    """

    of: Callable[[Array], list[Array]]


@dataclass(frozen=True, slots=True)
class Assembly:
    """The one result is put together from pieces.

    Attributes:
        pieces: from the inputs and the result, which is not initialised, to parts of the result and what goes there.
    """

    pieces: Callable[[list[Array], Array], Iterable[tuple[Array, Array]]]


class Kernel(Protocol):
    """Works on the elements of one tensor, block by block, in order."""

    def __call__(self, block: Array) -> Array:
        """From some elements, one-dimensional and contiguous, to those of the result, valid until the next call.

        Raises:
            OpError: the values are not fit.
        """

    def finish(self) -> None:
        """Called after the last block.

        Raises:
            OpError: the values as a whole are not fit.
        """


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Each element of the one result follows from that of the one input at its place.

    Attributes:
        start: makes the kernel for one tensor.
    """

    start: Callable[[], Kernel]


Way: TypeAlias = Views | Assembly | Elementwise


def along(dim: int, where: slice | int) -> tuple[Any, ...]:
    """The index that takes `where` along dimension `dim`, which is not negative, and everything else. Always a view.

    >>> along(1, slice(2, 4))
    (slice(None, None, None), slice(2, 4, None), Ellipsis)
    """
    return (*(slice(None),) * dim, where, ...)
