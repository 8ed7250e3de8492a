"""``fold_bn``: a batch normalisation folded into the layer before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import computable, same_dtype, several, shapes
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("fold_bn")
@dataclass(frozen=True, slots=True)
class FoldBN(Op):
    """A batch normalisation folded into the convolution or linear layer before it, as (weight, bias).

    Takes (weight, bn weight, bn bias, running mean, running variance), or with the layer's bias in second place.
    `eps` is that of the normalisation; `transpose` is for a transposed convolution without groups.

    Shapes: ``[out, …]``, with `transpose` ``[in, out, …]``, and ``[out]`` for all others. Floats of one dtype; 16-bit
    ones are computed in float32 and rounded once. Errors: shapes that do not belong together; when it runs, a negative
    variance, or an overflow of a 16-bit type. After ``torch.nn.utils.fusion.fuse_conv_bn_weights``.

    >>> from surgery.ops.base import floats
    >>> print(*FoldBN().infer(floats((64, 3, 7, 7), (64,), (64,), (64,), (64,)), 2), sep="; ")
    float32 [64, 3, 7, 7]; float32 [64]
    """

    arity: ClassVar[Literal["many"]] = "many"
    example: ClassVar[str] = (
        "[conv1.weight, bn1.weight, bn1.bias, bn1.running_mean, bn1.running_var] "
        "-> [conv1.weight, conv1.bias] via fold_bn"
    )
    eps: float = 1e-5
    transpose: bool = False

    def __post_init__(self) -> None:
        if self.eps < 0:
            raise OpError(f"`fold_bn` wants an `eps` of 0 or more, not {self.eps}", "eps")

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 5, 6)
        if outputs not in (None, 2):
            raise OpError(f"`fold_bn` gives two tensors, weight and bias, and the right side names {outputs}")
        same_dtype(self, inputs)
        computable(self, inputs[0])
        weight, *others = inputs
        dim = int(self.transpose)
        if len(weight.shape) < 2 or any(spec.shape != weight.shape[dim : dim + 1] for spec in others):
            wanted = "[in, out, …]" if self.transpose else "[out, …]"
            raise OpError(f"`fold_bn` wants {wanted}, and [out] for all others, not {shapes(inputs)}")
        return weight, others[0]

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        weight, *middle, gamma, beta, mean, variance = (widened(tensor) for tensor in inputs)
        if bool((variance < 0).any()):
            raise OpError("`fold_bn`: the running variance has a negative value; is it the last input?")
        factor = gamma * (variance + self.eps).rsqrt()
        folded = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1 - self.transpose))
        bias = ((middle[0] - mean) if middle else -mean) * factor + beta
        return [convert(self.name, tensor, inputs[0].dtype) for tensor in (folded, bias)]
