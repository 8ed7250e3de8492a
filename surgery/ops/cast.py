"""``cast``: another element type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, torch_dtype
from surgery.ops.base import Op
from surgery.ops.casts import CastKernel, castable
from surgery.ops.checks import same_rows, single
from surgery.ops.ways import Elementwise, Views, Way
from surgery.tensors.dtype import DType, casts_exactly
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import relabel
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("cast")
@dataclass(frozen=True, slots=True)
class Cast(Op):
    """Another element type; values are rounded to the nearest that it has.

    Shapes: stay. Any dtype to any. Errors, when it runs: a finite value that would overflow, a whole number out of
    range, a value with a fraction to an integer type, one other than 0 and 1 to bool, a complex value whose imaginary
    part is not 0 to a real type. Small values may round to 0. The inverse of an exact cast (bfloat16 to float32) gives
    every number back; the payload of a NaN may change.

    >>> from surgery.ops.base import floats
    >>> from surgery.tensors.dtype import DTYPES
    >>> print(*Cast(DTYPES["bfloat16"]).infer(floats((512, 10)), None))
    bfloat16 [512, 10]
    """

    example: ClassVar[str] = "fc.weight -> fc.weight via cast(bfloat16)"
    dtype: DType

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        return (Spec(single(self, inputs, outputs).shape, self.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return [convert(self.name, inputs[0], torch_dtype(self.dtype.name))]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way | None:
        source = inputs[0].dtype
        if source == self.dtype:
            return Views(lambda array: [array])
        if not castable(source, self.dtype):
            return None
        return Elementwise(lambda: CastKernel(self.name, source, self.dtype))

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        return (relabel(inputs[0], inputs[0].spec),) if inputs[0].spec.dtype == self.dtype else None

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows)

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op | None:
        return Cast(inputs[0].dtype) if casts_exactly(inputs[0].dtype, self.dtype) else None
