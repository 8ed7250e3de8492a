"""What ``with overlap`` does to one tensor. It is nothing for ``via``: it also takes the new layer's tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops.base import Op, OpError
from surgery.ops.pad import Pad
from surgery.ops.slice import Slice
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Overlap"]


@dataclass(frozen=True, slots=True)
class Overlap(Op):
    """The common corner of an old tensor, inside a new one.

    Around the corner stands what `fill` says: ``fresh``, the new tensor's own initial values; ``zeros``; or ``mean``,
    the mean of the old values along each dimension that grew.

    Shapes: of (new, old), with equally many dimensions, to that of the new one. Any dtype, the same for both.

    >>> from surgery.ops.base import floats
    >>> print(*Overlap().infer(floats((64, 4, 7, 7), (64, 3, 7, 7)), None))
    float32 [64, 4, 7, 7]
    """

    arity: ClassVar[Literal["join"]] = "join"
    fill: Literal["fresh", "zeros", "mean"] = "fresh"

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        new, old = inputs
        if len(new.shape) != len(old.shape):
            shapes = f"{format_shape(old.shape)} and {format_shape(new.shape)}"
            raise OpError(f"`overlap`: {shapes} have no common corner, since their dimensions are not equally many")
        return (new,)

    def steps(self, new: Spec, old: Spec) -> tuple[Op, ...]:
        """The same as operations on the old tensor alone, where `fill` is not ``fresh``."""
        found: list[Op] = []
        for dim, (wanted, there) in enumerate(zip(new.shape, old.shape, strict=True)):
            if wanted < there:
                found.append(Slice(0, wanted, dim=dim))
        for dim, (wanted, there) in enumerate(zip(new.shape, old.shape, strict=True)):
            if wanted > there:
                found.append(Pad(wanted, dim=dim, fill="mean" if self.fill == "mean" else 0))
        return tuple(found)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        new, old = inputs
        corner = tuple(slice(0, min(sizes)) for sizes in zip(new.shape, old.shape, strict=True))
        result = new.clone()
        result[corner] = old[corner]
        return [result]
