"""``pad``: a longer dimension."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.casts import constant, everywhere
from surgery.ops.checks import COMPLEX, FLOATS, computable, dimension, same_rows, single
from surgery.ops.scale import holds
from surgery.ops.slice import Slice
from surgery.ops.ways import Assembly, Way, along
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.ops.ways import Array


@OPS.register("pad")
@dataclass(frozen=True, slots=True)
class Pad(Op):
    """A dimension made `size` long by adding at its end a number, or the mean of what is there.

    Shapes: ``pad(32064)`` makes ``[32064, …]`` of ``[32000, …]``. Any dtype; the mean is for floats and complex
    numbers, and is computed in float32 for 16-bit ones. Errors: the dimension is longer than `size` already; an
    integer type that does not hold `fill`; the mean of nothing.

    >>> from surgery.ops.base import floats
    >>> print(*Pad(32064, fill="mean").infer(floats((32000, 8)), None))
    float32 [32064, 8]
    """

    example: ClassVar[str] = "embed.weight -> embed.weight via pad(32064, fill='mean')"
    size: int
    dim: int = 0
    fill: int | float | Literal["mean"] = 0

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        dim = dimension(self, self.dim, spec)
        old, shape = spec.shape[dim], format_shape(spec.shape)
        if self.size < old:
            raise OpError(
                f"`pad`: dimension {dim} of {shape} is longer than {self.size} already",
                "size",
                f"`slice(0, {self.size}, dim={dim})` makes it shorter" if self.size > 0 else None,
            )
        if self.fill == "mean":
            computable(self, spec, FLOATS | COMPLEX)
            if not old:
                raise OpError(f"`pad`: dimension {dim} of {shape} is empty, so it has no mean", "fill")
        elif not isinstance(self.fill, str):
            holds(self, spec, self.fill, "fill")
        return (Spec((*spec.shape[:dim], self.size, *spec.shape[dim + 1 :]), spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        tensor, dim = inputs[0], self.dim
        shape = list(tensor.shape)
        shape[dim] = self.size - shape[dim]
        if self.fill == "mean":
            extra = convert(self.name, widened(tensor).mean(dim, keepdim=True), tensor.dtype).expand(shape)
        else:
            extra = convert(self.name, torch.tensor(self.fill), tensor.dtype).expand(shape)
        return [torch.cat([tensor, extra], dim)]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way | None:
        if isinstance(self.fill, str):
            return None
        dim = dimension(self, self.dim, inputs[0])
        old = inputs[0].shape[dim]
        made = constant(
            self.name, self.fill, DTYPES["float32" if isinstance(self.fill, float) else "int64"], inputs[0].dtype
        )
        if made is None:
            return None

        def pieces(arrays: list[Array], result: Array) -> Iterator[tuple[Array, Array]]:
            yield result[along(dim, slice(0, old))], arrays[0]
            rest = result[along(dim, slice(old, None))]
            yield rest, everywhere(made(), rest)

        return Assembly(pieces)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        # a sum may be rounded otherwise in a tensor of another size
        return same_rows(inputs, rows, self.dim) if self.fill != "mean" else None

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op | None:
        size = inputs[0].shape[self.dim]
        return Slice(0, size, dim=self.dim) if size else None
