"""``adapt_channels``: a convolution for another number of input channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import computable, dimension, positive, single
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("adapt_channels")
@dataclass(frozen=True, slots=True)
class AdaptChannels(Op):
    """The weight of a convolution for `n` input channels instead of those it has.

    ``repeat`` tiles the old channels (the first `n` of them, if there are fewer; their sum for a single one) and
    ``mean`` takes their mean for each new one; both scale by old / new, so that outputs keep their size. ``zeros``
    keeps the old channels and adds zeros.

    Shapes: ``adapt_channels(4)`` makes ``[64, 4, 7, 7]`` of ``[64, 3, 7, 7]``. Floats; 16-bit ones are computed in
    float32 and rounded once. Errors: no old channel; ``zeros`` for fewer channels; when it runs, an overflow of a
    16-bit type. ``repeat`` is what timm's ``adapt_input_conv`` does.

    >>> from surgery.ops.base import floats
    >>> print(*AdaptChannels(4).infer(floats((64, 3, 7, 7)), None))
    float32 [64, 4, 7, 7]
    """

    example: ClassVar[str] = "conv1.weight -> conv1.weight via adapt_channels(4)"
    n: int
    dim: int = 1
    mode: Literal["repeat", "mean", "zeros"] = "repeat"

    def __post_init__(self) -> None:
        positive(self, self.n, "n")

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec)
        dim = dimension(self, self.dim, spec)
        old = spec.shape[dim]
        if not old or (self.mode == "zeros" and self.n < old):
            raise OpError(
                f"`adapt_channels` cannot make {self.n} channels of the {old} in dimension {dim} of "
                f"{format_shape(spec.shape)} by '{self.mode}'",
                "n",
            )
        return (Spec((*spec.shape[:dim], self.n, *spec.shape[dim + 1 :]), spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        tensor, dim = inputs[0], self.dim % inputs[0].ndim
        old = tensor.shape[dim]
        if self.n == old and self.mode != "mean":
            return [tensor]
        if self.mode == "zeros":
            shape = (*tensor.shape[:dim], self.n - old, *tensor.shape[dim + 1 :])
            return [torch.cat([tensor, tensor.new_zeros(shape)], dim)]
        weight = widened(tensor)
        if self.mode == "mean":
            weight = weight.mean(dim, keepdim=True) * (old / self.n)
            shape = (*tensor.shape[:dim], self.n, *tensor.shape[dim + 1 :])
            return [convert(self.name, weight, tensor.dtype).expand(shape)]
        if self.n == 1:
            return [convert(self.name, weight.sum(dim, keepdim=True), tensor.dtype)]
        tiles = -(-self.n // old)
        tiled = torch.cat([weight] * tiles, dim).narrow(dim, 0, self.n)
        return [convert(self.name, tiled * (old / self.n), tensor.dtype)]
