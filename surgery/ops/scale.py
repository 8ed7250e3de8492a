"""``scale``, ``shift`` and ``clamp``: each element by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import COMPLEX, FLOATS, INTEGERS, computable, same_rows, single
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


class _WithANumber(Op):
    """What these have in common: 16-bit floats are computed in float32 and rounded once."""

    __slots__ = ()

    def _compute(self, tensor: Tensor) -> Tensor:
        raise NotImplementedError

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec, FLOATS | COMPLEX)
        return (spec,)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return [convert(self.name, self._compute(widened(inputs[0])), inputs[0].dtype)]


@OPS.register("scale")
@dataclass(frozen=True, slots=True)
class Scale(_WithANumber):
    """Each element times a number.

    Shapes and dtype stay. Floats and complex numbers; 16-bit ones are computed in float32 and rounded once. Errors: an
    integer tensor; when it runs, a product that overflows a 16-bit type.

    >>> from surgery.ops.base import floats
    >>> print(*Scale(0.5).infer(floats((512, 10)), None))
    float32 [512, 10]
    """

    example: ClassVar[str] = "fc.weight -> fc.weight via scale(0.5)"
    factor: float

    def _compute(self, tensor: Tensor) -> Tensor:
        return tensor * self.factor


@OPS.register("shift")
@dataclass(frozen=True, slots=True)
class Shift(_WithANumber):
    """Each element plus a number, as where one norm is a weight and another a difference from 1.

    Shapes and dtype stay. Floats and complex numbers; 16-bit ones are computed in float32 and rounded once. Errors: an
    integer tensor; when it runs, a sum that overflows a 16-bit type.

    >>> from surgery.ops.base import floats
    >>> print(*Shift(1).infer(floats((2048,)), None))
    float32 [2048]
    """

    example: ClassVar[str] = "**.input_layernorm.weight -> **.input_layernorm.weight via shift(1)"
    amount: float

    def _compute(self, tensor: Tensor) -> Tensor:
        return tensor + self.amount


@OPS.register("clamp")
@dataclass(frozen=True, slots=True)
class Clamp(Op):
    """Each element, or the nearest bound if it lies outside; NaN stays.

    Shapes and dtype stay. Floats and integers; integers want whole bounds that the dtype can hold. Errors: no bound is
    given, or `min` is above `max`.

    >>> from surgery.ops.base import floats
    >>> print(*Clamp(min=-1.0, max=1.0).infer(floats((512, 10)), None))
    float32 [512, 10]
    """

    example: ClassVar[str] = "logit_scale -> logit_scale via clamp(0, 4.6052)"
    min: int | float | None = None
    max: int | float | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise OpError("`clamp` needs `min` or `max`, a number", "min")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise OpError(f"`clamp`: `min` is {self.min}, above `max`, {self.max}", "min")

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec, FLOATS | INTEGERS)
        for argument, value in (("min", self.min), ("max", self.max)):
            if value is not None:
                holds(self, spec, value, argument)
        return (spec,)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return [inputs[0].clamp(self.min, self.max)]


def holds(op: Op, spec: Spec, value: int | float, argument: str) -> None:
    """Raise unless an integer or bool dtype can hold `value`; floats round it."""
    dtype = spec.dtype
    if dtype.kind not in ("int", "uint", "bool"):
        return
    least = -(2**dtype.mantissa) if dtype.kind == "int" else 0
    if value != int(value) or not least <= value < 2**dtype.mantissa:
        raise OpError(f"`{op.name}`: {value} is no value of {dtype} ({spec})", argument)
