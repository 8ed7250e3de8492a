"""``stack`` and ``unstack``: tensors as the slices of one, along a new dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, one_result, same_dtype, same_rows, several, shapes, single
from surgery.ops.ways import Assembly, Views, Way, along
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import interleave, parts
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("stack")
@dataclass(frozen=True, slots=True)
class Stack(Op):
    """Tensors of one shape as the slices of a new dimension.

    Shapes: n times ``[a, …]`` to ``[n, a, …]``. Any dtype, the same for all. Errors: unequal shapes.

    >>> from surgery.ops.base import floats
    >>> print(*Stack(dim=0).infer(floats((4, 8), (4, 8)), None))
    float32 [2, 4, 8]
    """

    arity: ClassVar[Literal["join"]] = "join"
    example: ClassVar[str] = "**.experts.{e:int}.w1.weight -> **.experts.w1 via stack(dim=0)"
    dim: int = 0

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 1)
        one_result(self, outputs)
        dtype = same_dtype(self, inputs)
        dim = dimension(self, self.dim, inputs[0], new=True)
        if len({spec.shape for spec in inputs}) > 1:
            raise OpError(f"`stack` wants equal shapes, not {shapes(inputs)}")
        shape = inputs[0].shape
        return (Spec((*shape[:dim], len(inputs), *shape[dim:]), dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        return [torch.stack(inputs, self.dim)]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        dim = dimension(self, self.dim, inputs[0], new=True)
        return Assembly(lambda arrays, result: ((result[along(dim, i)], array) for i, array in enumerate(arrays)))

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        (spec,) = self.infer(tuple(stored.spec for stored in inputs), outputs)
        joined = interleave(inputs, self.dim % len(spec.shape), spec)
        return None if joined is None else (joined,)

    def in_order(self, inputs: tuple[Spec, ...]) -> bool:
        return set(inputs[0].shape[: dimension(self, self.dim, inputs[0], new=True)]) <= {1}

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        if dimension(self, self.dim, inputs[0], new=True):
            return same_rows(inputs, rows)
        return tuple(None if number in rows else range(0) for number in range(len(inputs)))

    def inverse_anywhere(self) -> Op:
        return Unstack(dim=self.dim)


@OPS.register("unstack")
@dataclass(frozen=True, slots=True)
class Unstack(Op):
    """The slices of a dimension, as tensors of their own.

    Shapes: ``[n, a, …]`` to n times ``[a, …]``. Any dtype. Errors: the size of the dimension is not the number of
    tensors that the right side names; where that is open (`{e}`), it follows from the size, which must not be 0.

    >>> from surgery.ops.base import floats
    >>> print(*Unstack(dim=0).infer(floats((2, 4, 8)), None), sep="; ")
    float32 [4, 8]; float32 [4, 8]
    """

    arity: ClassVar[Literal["split"]] = "split"
    example: ClassVar[str] = "**.experts.w1 -> **.experts.{e}.w1.weight via unstack(dim=0)"
    dim: int = 0

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs)
        dim = dimension(self, self.dim, spec)
        size = spec.shape[dim]
        if outputs not in (None, size) or not size:
            names = f", and the right side names {outputs}" if outputs is not None else ""
            raise OpError(f"`unstack`: dimension {dim} of {format_shape(spec.shape)} has {size} slices{names}")
        return (Spec((*spec.shape[:dim], *spec.shape[dim + 1 :]), spec.dtype),) * size

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return list(inputs[0].unbind(self.dim))

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        dim = dimension(self, self.dim, inputs[0])
        return Views(lambda array: [array[along(dim, i)] for i in range(outputs)])

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        results = self.infer((inputs[0].spec,), outputs)
        dim = self.dim % len(inputs[0].spec.shape)
        found = [parts(inputs[0], dim, range(i, i + 1), spec) for i, spec in enumerate(results)]
        slices = tuple(part for part in found if part is not None)
        return slices if len(slices) == len(results) else None

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.dim)

    def inverse_anywhere(self) -> Op:
        return Stack(dim=self.dim)
