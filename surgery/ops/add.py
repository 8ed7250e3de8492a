"""``add``, ``sub`` and ``mul``: arithmetic between tensors, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import COMPLEX, FLOATS, INTEGERS, broadcast, broadcast_rows, computable, one_result, several
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


class _Arithmetic(Op):
    """What these have in common. Integers are computed in int64, and an overflow is an error."""

    __slots__ = ()

    _most: ClassVar[int | None] = None

    def _compute(self, left: Tensor, right: Tensor) -> Tensor:
        raise NotImplementedError

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 2, self._most)
        one_result(self, outputs)
        computable(self, inputs[0], FLOATS | COMPLEX | INTEGERS)
        return (broadcast(self, inputs),)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return broadcast_rows(inputs, rows)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        first = inputs[0]
        if first.is_floating_point() or first.is_complex():
            total = widened(first)
            for tensor in inputs[1:]:
                total = self._compute(total, widened(tensor))
        else:
            total = first.long()
            for tensor in inputs[1:]:
                total = self._exact(total, tensor.long())
        return [convert(self.name, total, first.dtype)]

    def _exact(self, left: Tensor, right: Tensor) -> Tensor:
        """An int64 result that did not wrap around: it is near the one in float64."""
        result = self._compute(left, right)
        if bool(((self._compute(left.double(), right.double()) - result.double()).abs() > 2.0**62).any()):
            raise OpError(f"`{self.name}` overflows int64")
        return result


@OPS.register("add")
@dataclass(frozen=True, slots=True)
class Add(_Arithmetic):
    """Two tensors or more, added.

    Shapes: equal, or 1 where they differ. Floats, complex numbers and integers of one dtype, which stays; 16-bit floats
    are computed in float32 and rounded once. Errors: a result that overflows an integer or 16-bit type.

    >>> from surgery.ops.base import floats
    >>> print(*Add().infer(floats((512, 10), (1, 10)), None))
    float32 [512, 10]
    """

    arity: ClassVar[Literal["join"]] = "join"
    ordered: ClassVar[bool] = False
    example: ClassVar[str] = "[base.{k:**}, delta.{k}] -> {k} via add"

    def _compute(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


@OPS.register("sub")
@dataclass(frozen=True, slots=True)
class Sub(_Arithmetic):
    """The first of two tensors minus the second, as for a task vector.

    Shapes, dtypes and errors as for `add`.

    >>> from surgery.ops.base import floats
    >>> print(*Sub().infer(floats((512, 10), (512, 10)), None))
    float32 [512, 10]
    """

    arity: ClassVar[Literal["join"]] = "join"
    example: ClassVar[str] = "[tuned.{k:**}, base.{k}] -> {k} via sub"
    _most: ClassVar[int | None] = 2

    def _compute(self, left: Tensor, right: Tensor) -> Tensor:
        return left - right


@OPS.register("mul")
@dataclass(frozen=True, slots=True)
class Mul(_Arithmetic):
    """Two tensors or more, multiplied element by element.

    Shapes, dtypes and errors as for `add`.

    >>> from surgery.ops.base import floats
    >>> print(*Mul().infer(floats((512, 10), (512, 1)), None))
    float32 [512, 10]
    """

    arity: ClassVar[Literal["join"]] = "join"
    ordered: ClassVar[bool] = False
    example: ClassVar[str] = "[fc.weight, fc.mask] -> fc.weight via mul"

    def _compute(self, left: Tensor, right: Tensor) -> Tensor:
        return left * right
