"""``matmul``: products of matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import COMPLEX, FLOATS, computable, one_result, same_dtype, several, shapes
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("matmul")
@dataclass(frozen=True, slots=True)
class Matmul(Op):
    """The product of matrices, from left to right; the last may be a vector.

    Shapes: ``[…, m, k]`` and ``[…, k, n]`` to ``[…, m, n]``, ``[m, k]`` and ``[k]`` to ``[m]``; dimensions in front are
    equal, or 1 where they differ. Floats and complex numbers of one dtype; 16-bit ones are computed in float32 and
    rounded once. Errors: inner sizes that differ; a result that overflows a 16-bit type.

    >>> from surgery.ops.base import floats
    >>> print(*Matmul().infer(floats((512, 8), (8, 64)), None))
    float32 [512, 64]
    """

    arity: ClassVar[Literal["join"]] = "join"
    example: ClassVar[str] = "[fc.u, fc.v] -> fc.weight via matmul"

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 2)
        one_result(self, outputs)
        dtype = same_dtype(self, inputs)
        computable(self, inputs[0], FLOATS | COMPLEX)
        shape = inputs[0].shape
        for spec in inputs[1:]:
            product = _product(shape, spec.shape)
            if product is None:
                raise OpError(f"`matmul` cannot multiply {shapes(inputs)}")
            shape = product
        return (Spec(shape, dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        total = widened(inputs[0])
        for tensor in inputs[1:]:
            total = total @ widened(tensor)
        return [convert(self.name, total, inputs[0].dtype)]


def _product(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...] | None:
    if len(left) == 2 and len(right) == 1:
        return left[:1] if left[1] == right[0] else None
    if len(left) != len(right) or len(left) < 2 or left[-1] != right[-2]:
        return None
    if any(a != b and 1 not in (a, b) for a, b in zip(left[:-2], right[:-2], strict=True)):
        return None
    return (*(b if a == 1 else a for a, b in zip(left[:-2], right[:-2], strict=True)), left[-2], right[-1])
