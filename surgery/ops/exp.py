"""``exp`` and ``log``: what one program stores and another its logarithm, as temperatures and decays are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, spec_of, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import computable, single
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("exp")
@dataclass(frozen=True, slots=True)
class Exp(Op):
    """e to the power of each element.

    Shapes and dtype stay. Floats; 16-bit ones are computed in float32 and rounded once. Errors: other dtypes; when it
    runs, a finite element whose result is infinite.

    >>> from surgery.ops.base import floats
    >>> print(*Exp().infer(floats((5120, 16)), None))
    float32 [5120, 16]
    """

    example: ClassVar[str] = "**.A_log -> **.A via exp | scale(-1)"

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec)
        return (spec,)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        tensor = widened(inputs[0])
        result = tensor.exp()
        lost = result.isinf() & tensor.isfinite()
        if bool(lost.any()):
            raise OpError(f"`exp`: e to the power of {tensor[lost][0].item()} is too large for {spec_of(tensor).dtype}")
        return [convert(self.name, result, inputs[0].dtype)]


@OPS.register("log")
@dataclass(frozen=True, slots=True)
class Log(Op):
    """The natural logarithm of each element.

    Shapes and dtype stay. Floats; 16-bit ones are computed in float32 and rounded once. Errors: other dtypes; when it
    runs, an element that is not above 0.

    >>> from surgery.ops.base import floats
    >>> print(*Log().infer(floats((5120, 16)), None))
    float32 [5120, 16]
    """

    example: ClassVar[str] = "logit_scale_exp -> logit_scale via log"

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec)
        return (spec,)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        wrong = inputs[0] <= 0
        if bool(wrong.any()):
            raise OpError(f"`log`: {inputs[0][wrong][0].item()} has no logarithm")
        return [convert(self.name, widened(inputs[0]).log(), inputs[0].dtype)]
