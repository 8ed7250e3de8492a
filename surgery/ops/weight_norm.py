"""``weight_norm``: the weight that a weight normalisation stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, spec_of, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import computable, dimension, one_result, same_dtype, several, shapes
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("weight_norm")
@dataclass(frozen=True, slots=True)
class WeightNorm(Op):
    """The weight of a weight-normalised layer: (v, g) to ``g * v / |v|``, the norm being over all dimensions but `dim`.

    v is ``weight_v`` or ``parametrizations.weight.original1``, g is ``weight_g`` or ``…original0``.

    Shapes: ``[out, in, k]`` and ``[out, 1, 1]`` to ``[out, in, k]``; with ``dim=None`` (torch also writes -1) the norm
    is over all of v, and g has no dimensions. Floats of one dtype; 16-bit ones are computed in float32 and rounded
    once. Errors: shapes that do not belong together; when it runs, a norm of 0. After
    ``torch.nn.utils.parametrizations.weight_norm``.

    >>> from surgery.ops.base import floats
    >>> print(*WeightNorm().infer(floats((512, 80, 7), (512, 1, 1)), None))
    float32 [512, 80, 7]
    """

    arity: ClassVar[Literal["join"]] = "join"
    example: ClassVar[str] = "[{m:**}.weight_v, {m}.weight_g] -> {m}.weight via weight_norm"
    dim: int | None = 0

    def _kept(self, v: Spec, g: Spec) -> int | None:
        """The dimension that the norm is not over; None where it is over all of v."""
        if self.dim is None or (self.dim == -1 and not g.shape):
            return None
        return dimension(self, self.dim, v)

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 2, 2)
        one_result(self, outputs)
        same_dtype(self, inputs)
        v, g = inputs
        computable(self, v)
        kept = self._kept(v, g)
        gain = tuple(size if i == kept else 1 for i, size in enumerate(v.shape)) if kept is not None else ()
        if g.shape != gain:
            swapped = "the order is (v, g)" if v.numel < g.numel else None
            raise OpError(
                f"`weight_norm` wants (v, g), g with size 1 in all dimensions but `dim`, not {shapes(inputs)}",
                suggestion=swapped,
            )
        return (v,)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        v, g = (widened(tensor) for tensor in inputs)
        kept = self._kept(spec_of(v), spec_of(g))
        others = [i for i in range(v.ndim) if i != kept]
        norm = v.pow(2).sum(others, keepdim=True).sqrt() if others else v.abs()
        if bool((norm == 0).any()):
            raise OpError("`weight_norm`: v has a norm of 0, so the weight is not defined")
        return [convert(self.name, v * (g / norm), inputs[0].dtype)]
