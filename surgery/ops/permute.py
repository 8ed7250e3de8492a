"""``transpose`` and ``permute``: dimensions in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, same_rows, single
from surgery.ops.ways import Views, Way
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import relabel
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("transpose")
@dataclass(frozen=True, slots=True)
class Transpose(Op):
    """Two dimensions exchanged.

    Shapes: ``[m, n]`` to ``[n, m]``. Any dtype. Errors: a dimension that the tensor does not have.

    >>> from surgery.ops.base import floats
    >>> print(*Transpose(0, 1).infer(floats((768, 2304)), None))
    float32 [2304, 768]
    """

    example: ClassVar[str] = "h.*.attn.c_attn.weight -> h.*.attn.in_proj_weight via transpose(0, 1)"
    a: int
    b: int

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        return (Spec(tuple(spec.shape[dim] for dim in self._order(spec)), spec.dtype),)

    def _order(self, spec: Spec) -> list[int]:
        order = list(range(len(spec.shape)))
        a, b = dimension(self, self.a, spec, "a"), dimension(self, self.b, spec, "b")
        order[a], order[b] = b, a
        return order

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return [inputs[0].transpose(self.a, self.b)]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        return Views(lambda array: [array.swapaxes(self.a, self.b)])

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        return _reordered(self, inputs[0], self._order(inputs[0].spec))

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.a, self.b)

    def inverse_anywhere(self) -> Op:
        return self


@OPS.register("permute")
@dataclass(frozen=True, slots=True)
class Permute(Op):
    """All dimensions in the order given.

    Shapes: ``permute(2, 0, 1)`` makes ``[c, h, w]`` of ``[h, w, c]``. Any dtype. Errors: not each dimension once.

    >>> from surgery.ops.base import floats
    >>> print(*Permute((3, 2, 0, 1)).infer(floats((7, 7, 3, 64)), None))
    float32 [64, 3, 7, 7]
    """

    variadic: ClassVar[str] = "dims"
    example: ClassVar[str] = "conv1.kernel -> conv1.weight via permute(3, 2, 0, 1)"
    dims: tuple[int, ...]

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        return (Spec(tuple(spec.shape[dim] for dim in self._order(spec)), spec.dtype),)

    def _order(self, spec: Spec) -> list[int]:
        order = [dimension(self, dim, spec, "dims") for dim in self.dims]
        if sorted(order) != list(range(len(spec.shape))):
            shape = format_shape(spec.shape)
            raise OpError(
                f"`permute` wants each of the {len(spec.shape)} dimensions of {shape} once, not {list(self.dims)}",
                "dims",
            )
        return order

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return [inputs[0].permute(self.dims)]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        return Views(lambda array: [array.transpose(self.dims)])

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        return _reordered(self, inputs[0], self._order(inputs[0].spec))

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return (rows,) if self._order(inputs[0])[:1] == [0] else None

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op:
        order = self._order(inputs[0])
        return _back(order)

    def inverse_anywhere(self) -> Op | None:
        return _back(self.dims) if sorted(self.dims) == list(range(len(self.dims))) else None


def _back(order: Sequence[int]) -> Permute:
    return Permute(tuple(sorted(range(len(order)), key=order.__getitem__)))


def _reordered(op: Op, stored: Stored, order: list[int]) -> tuple[Stored, ...] | None:
    """The same bytes where only dimensions of size 1 move."""
    longer = [dim for dim in order if stored.spec.shape[dim] != 1]
    if longer != sorted(longer) and stored.spec.numel:
        return None
    return (relabel(stored, op.infer((stored.spec,), 1)[0]),)
