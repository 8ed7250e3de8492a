"""``mean`` and ``sum`` over tensors."""

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


@OPS.register("mean")
@dataclass(frozen=True, slots=True)
class Mean(Op):
    """The mean of tensors, element by element; with `weights`, the weighted one.

    Shapes: equal, or 1 where they differ. Floats and complex numbers; 16-bit ones are added up in float32 and rounded
    once. Weights are one a tensor, in order, and are divided by their sum. Integers and bools (step counters) are
    accepted, and when it runs must be the same in every tensor, which then is the mean. Errors: other dtypes; weights
    of another number than the tensors, or that add up to 0.

    >>> from surgery.ops.base import floats
    >>> print(*Mean().infer(floats((512, 10), (512, 10), (512, 10)), None))
    float32 [512, 10]
    """

    arity: ClassVar[Literal["join"]] = "join"
    ordered: ClassVar[bool] = False
    example: ClassVar[str] = "(a|b|c).{k:**} -> {k} via mean"
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and not sum(self.weights):
            raise OpError(f"`mean`: the weights {list(self.weights)} add up to 0", "weights")

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 1)
        one_result(self, outputs)
        if self.weights is not None and len(self.weights) != len(inputs):
            raise OpError(f"`mean` has {len(self.weights)} weights for {len(inputs)} tensors", "weights")
        computable(self, inputs[0], FLOATS | COMPLEX | INTEGERS | {"bool"})
        return (broadcast(self, inputs),)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return broadcast_rows(inputs, rows)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        first = inputs[0]
        if not (first.is_floating_point() or first.is_complex()):
            return [same(self, inputs)]
        weights = self.weights or (1.0,) * len(inputs)
        if self.weights is None:
            total = added(inputs) / len(inputs)
        else:
            scale = sum(weights)
            total = added([widened(tensor) * (weight / scale) for tensor, weight in zip(inputs, weights, strict=True)])
        return [convert(self.name, total, first.dtype)]


@OPS.register("sum")
@dataclass(frozen=True, slots=True)
class Sum(Op):
    """The sum of tensors, element by element.

    Shapes: equal, or 1 where they differ. Floats and complex numbers; 16-bit ones are added up in float32 and rounded
    once. Integers are accepted, and when it runs must be the same in every tensor (`add` adds different ones). Errors:
    other dtypes; a sum that overflows an integer or 16-bit type.

    >>> from surgery.ops.base import floats
    >>> print(*Sum().infer(floats((512, 10), (512, 10)), None))
    float32 [512, 10]
    """

    arity: ClassVar[Literal["join"]] = "join"
    ordered: ClassVar[bool] = False
    example: ClassVar[str] = "bias.{i:int} -> bias via sum"

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 1)
        one_result(self, outputs)
        computable(self, inputs[0], FLOATS | COMPLEX | INTEGERS)
        return (broadcast(self, inputs),)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return broadcast_rows(inputs, rows)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        first = inputs[0]
        if first.is_floating_point() or first.is_complex():
            return [convert(self.name, added(inputs), first.dtype)]
        from surgery.ops.add import Mul

        value = same(self, inputs)
        return Mul().apply([value, value.new_full((1,) * value.ndim, len(inputs))], 1)


def added(inputs: list[Tensor]) -> Tensor:
    """The sum from left to right, in float32 for 16-bit floats. With one tensor, that one."""
    total = widened(inputs[0])
    for tensor in inputs[1:]:
        total = total + widened(tensor)
    return total


def same(op: Op, inputs: list[Tensor]) -> Tensor:
    """The values that all integer inputs have."""
    import torch

    tensors: list[Tensor] = list(torch.broadcast_tensors(*inputs))  # type: ignore[no-untyped-call]
    for tensor in tensors[1:]:
        if not torch.equal(tensors[0], tensor):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise OpError(
                f"`{op.name}` of {kind} tensors wants the same values in each, and they differ",
                suggestion=None if kind == "bool" else "cast them first, as in `cast(float32)`, or use `add`",
            )
    return tensors[0]
