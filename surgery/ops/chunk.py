"""``chunk``: equal parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, same_rows, single
from surgery.ops.concat import Concat
from surgery.ops.split import cut_up, views_of
from surgery.ops.ways import Views, Way
from surgery.tensors.expr import Stored
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("chunk")
@dataclass(frozen=True, slots=True)
class Chunk(Op):
    """Equal parts along a dimension, as many as the right side names.

    Shapes: ``[n * a, …]`` to n times ``[a, …]``. Any dtype. Errors: the size is not a multiple of the number of
    parts (torch's own would give fewer or smaller ones); the right side does not say how many.

    >>> from surgery.ops.base import floats
    >>> print(*Chunk(dim=0).infer(floats((9, 4)), 3), sep="; ")
    float32 [3, 4]; float32 [3, 4]; float32 [3, 4]
    """

    arity: ClassVar[Literal["split"]] = "split"
    example: ClassVar[str] = "qkv.weight -> (q|k|v).weight via chunk(dim=0)"
    dim: int = 0

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs)
        dim = dimension(self, self.dim, spec)
        if outputs is None:
            raise OpError(
                "`chunk` makes as many parts as the right side names, and this one does not say how many",
                suggestion="name them, as in `(q|k|v)`, or use `split` with the sizes",
            )
        size, rest = divmod(spec.shape[dim], outputs)
        if rest:
            sizes = [size + (part < rest) for part in range(outputs)]
            raise OpError(
                f"`chunk` cannot cut dimension {dim} of {format_shape(spec.shape)} into {outputs} equal parts",
                suggestion=f"`split({sizes}, dim={dim})` makes unequal ones" if outputs <= 8 else None,
            )
        return (Spec((*spec.shape[:dim], size, *spec.shape[dim + 1 :]), spec.dtype),) * outputs

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return list(inputs[0].chunk(outputs, self.dim))

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        return Views(lambda array: views_of(array, self.dim, self.infer(inputs, outputs)))

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        return cut_up(inputs[0], self.dim, self.infer((inputs[0].spec,), outputs))

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.dim)

    def inverse_anywhere(self) -> Op:
        return Concat(dim=self.dim)
