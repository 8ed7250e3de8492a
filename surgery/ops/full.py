"""``zeros``, ``ones`` and ``full``: one value everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, torch_dtype
from surgery.ops.base import Op, OpError
from surgery.ops.casts import constant, everywhere
from surgery.ops.checks import one_result, several
from surgery.ops.scale import holds
from surgery.ops.ways import Assembly, Way
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


class _Constant(Op):
    """What these have in common: a shape and dtype of their own, or those of the input."""

    __slots__ = ()

    shape: tuple[int, ...] | None
    dtype: DType | None

    def _value(self) -> int | float:
        raise NotImplementedError

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 0, 1)
        one_result(self, outputs)
        if inputs and self.shape is not None:
            raise OpError(f"`{self.name}` behind `via` takes its shape from the tensor ({inputs[0]})", "shape")
        if not inputs and self.shape is None:
            raise OpError(f"`{self.name}` needs a shape, as in `{self.name}(1, 768)`", "shape")
        shape = inputs[0].shape if inputs else self.shape or ()
        if min(shape, default=0) < 0:
            raise OpError(f"`{self.name}` wants sizes from 0, not {format_shape(shape)}", "shape")
        spec = Spec(shape, self.dtype or (inputs[0].dtype if inputs else DTYPES["float32"]))
        holds(self, spec, self._value(), "value")
        return (spec,)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        from surgery.ops.arithmetic import spec_of

        (spec,) = self.infer(tuple(map(spec_of, inputs)), outputs)
        value = torch.tensor(self._value(), dtype=torch.float64 if spec.dtype.kind == "float" else None)
        return [convert(self.name, value, torch_dtype(spec.dtype.name)).expand(spec.shape).clone()]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way | None:
        (spec,) = self.infer(inputs, outputs)
        made = constant(self.name, self._value(), DTYPES["float64"], spec.dtype)
        if made is None:
            return None
        return Assembly(lambda arrays, result: [(result, everywhere(made(), result))])


@OPS.register("zeros")
@dataclass(frozen=True, slots=True)
class Zeros(_Constant):
    """Zeros: behind ``via`` of the input's shape, in ``create`` of the shape given.

    Shapes: stay, or as given. Any dtype: `dtype`, else the input's, else float32. Errors: a shape where there is an
    input, none where there is no input.

    >>> from surgery.ops.base import floats
    >>> print(*Zeros().infer(floats((512, 10)), None), *Zeros((1, 768)).infer((), None))
    float32 [512, 10] float32 [1, 768]
    """

    variadic: ClassVar[str] = "shape"
    example: ClassVar[str] = "head.bias -> head.bias via zeros"
    shape: tuple[int, ...] | None = None
    dtype: DType | None = None

    def _value(self) -> int:
        return 0


@OPS.register("ones")
@dataclass(frozen=True, slots=True)
class Ones(_Constant):
    """Ones: behind ``via`` of the input's shape, in ``create`` of the shape given.

    Shapes, dtypes and errors as for `zeros`.

    >>> from surgery.ops.base import floats
    >>> print(*Ones(dtype=DTYPES["float16"]).infer(floats((512, 10)), None))
    float16 [512, 10]
    """

    variadic: ClassVar[str] = "shape"
    example: ClassVar[str] = "norm.weight -> norm.weight via ones"
    shape: tuple[int, ...] | None = None
    dtype: DType | None = None

    def _value(self) -> int:
        return 1


@OPS.register("full")
@dataclass(frozen=True, slots=True)
class Full(_Constant):
    """One value everywhere: behind ``via`` in the input's shape, in ``create`` in the `shape` given.

    Shapes and dtypes as for `zeros`. Errors: also a value that an integer type does not hold, or, when it runs, one
    that overflows a float type.

    >>> from surgery.ops.base import floats
    >>> print(*Full(0.5).infer(floats((512, 10)), None))
    float32 [512, 10]
    """

    example: ClassVar[str] = "logit_scale -> logit_scale via full(2.6592)"
    value: int | float
    shape: tuple[int, ...] | None = None
    dtype: DType | None = None

    def _value(self) -> int | float:
        return self.value
