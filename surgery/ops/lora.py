"""``lora`` and ``low_rank``: adapters, merged into their layer and made of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import computable, one_result, positive, same_dtype, several, shapes, single
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("lora")
@dataclass(frozen=True, slots=True)
class Lora(Op):
    """A LoRA adapter merged into its layer: (base, A, B) to ``base + alpha / rank * B @ A``.

    With `rslora` (rank-stabilised), the factor is alpha / sqrt(rank). Without `alpha`, a fourth tensor of one element
    holds it, as in the adapters of kohya's scripts.

    Shapes: ``[out, in]``, ``[rank, in]`` and ``[out, rank]`` to ``[out, in]``. With `transpose`, the base is ``[in,
    out]`` (GPT-2's Conv1D). Of a convolution ``[out, in, h, w]``, ``[rank, in, h, w]`` and ``[out, rank, 1, 1]``.
    Floats; A and B share a dtype, which may differ from the base's; the result has the base's. 16-bit ones are
    computed in float32 (and all in float64 if one is float64) and rounded once. Errors: shapes that do not belong
    together; when it runs, an overflow of a 16-bit type. After peft's ``merge``.

    >>> from surgery.ops.base import floats
    >>> print(*Lora(alpha=16).infer(floats((768, 512), (8, 512), (768, 8)), None))
    float32 [768, 512]
    """

    arity: ClassVar[Literal["join"]] = "join"
    example: ClassVar[str] = (
        "[base.{m:**}.weight, ad.{m}.lora_A.weight, ad.{m}.lora_B.weight] -> {m}.weight via lora(alpha=16)"
    )
    alpha: float | None = None
    transpose: bool = False
    rslora: bool = False

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        self._check_alpha(inputs)
        one_result(self, outputs)
        same_dtype(self, inputs[1:3])
        for spec in inputs:
            computable(self, spec)
        base, a, b = (spec.shape for spec in inputs[:3])
        wanted = _delta(a, b)
        if wanted and self.transpose:
            wanted = wanted[::-1] if len(wanted) == 2 else None
        if wanted is None or base != wanted:
            does = f"they make {format_shape(wanted)}" if wanted else "they do not belong together"
            raise OpError(f"`lora` wants (base, A, B), and not {shapes(inputs)}: {does}")
        return (inputs[0],)

    def _check_alpha(self, inputs: tuple[Spec, ...]) -> None:
        if self.alpha is None and len(inputs) == 3:
            raise OpError("`lora` needs `alpha`, a number, or a fourth tensor of one element that holds it", "alpha")
        several(self, inputs, 3 + (self.alpha is None), 3 + (self.alpha is None))
        if self.alpha is None and inputs[3].numel != 1:
            raise OpError(f"`lora` wants an alpha of one element as the fourth tensor, not {inputs[3]}")

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        base, a, b = (widened(tensor) for tensor in inputs[:3])
        dtype = torch.promote_types(base.dtype, a.dtype)
        rank = a.shape[0] ** 0.5 if self.rslora else a.shape[0]
        alpha = inputs[3].item() if self.alpha is None else self.alpha
        delta = b.to(dtype).flatten(1) @ a.to(dtype).flatten(1) * (alpha / rank)
        delta = delta.T if self.transpose else delta.reshape(base.shape)
        return [convert(self.name, base.to(dtype) + delta, inputs[0].dtype)]


def _delta(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of what A and B make; None where they do not fit."""
    if len(a) < 2 or len(a) != len(b) or a[0] != b[1] or a[0] < 1 or {*b[2:]} - {1}:
        return None
    return (b[0], *a[1:])


@OPS.register("low_rank")
@dataclass(frozen=True, slots=True)
class LowRank(Op):
    """The nearest product ``B @ A`` of the given rank, as (A, B): a LoRA adapter of a difference of weights.

    Shapes: ``[out, in]`` to ``[rank, in]`` and ``[out, rank]``; ``[out, in, h, w]`` to ``[rank, in, h, w]`` and
    ``[out, rank, 1, 1]``. Floats; 16-bit ones are computed in float32 and rounded once. By a singular value
    decomposition U S V': A is V', whose rows have length 1 and their largest element positive, and B is U S. Errors:
    a rank above that of the shape; when it runs, values that are not finite.

    >>> from surgery.ops.base import floats
    >>> print(*LowRank(8).infer(floats((768, 512)), 2), sep="; ")
    float32 [8, 512]; float32 [768, 8]
    """

    arity: ClassVar[Literal["split"]] = "split"
    example: ClassVar[str] = "{m:**}.delta -> [{m}.lora_A.weight, {m}.lora_B.weight] via low_rank(8)"
    rank: int

    def __post_init__(self) -> None:
        positive(self, self.rank, "rank")

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs)
        if outputs not in (None, 2):
            raise OpError(f"`low_rank` gives two tensors, A and B, and the right side names {outputs}")
        computable(self, spec)
        if len(spec.shape) < 2:
            raise OpError(f"`low_rank` wants a matrix or the weight of a convolution, not {format_shape(spec.shape)}")
        rows, columns = spec.shape[0], spec.numel // max(spec.shape[0], 1)
        if self.rank > min(rows, columns):
            shape = format_shape(spec.shape)
            raise OpError(f"`low_rank`: {shape} has at most rank {min(rows, columns)}, not {self.rank}", "rank")
        ones = (1,) * (len(spec.shape) - 2)
        return Spec((self.rank, *spec.shape[1:]), spec.dtype), Spec((rows, self.rank, *ones), spec.dtype)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        matrix = widened(inputs[0]).flatten(1)
        if not bool(matrix.isfinite().all()):
            raise OpError("`low_rank` wants finite values, and some are infinite or NaN")
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        left, right = left[:, : self.rank] * values[: self.rank], right[: self.rank]
        largest = right.gather(1, right.abs().argmax(1, keepdim=True))
        sign = torch.where(largest < 0, -1.0, 1.0).to(right.dtype)
        a = (right * sign).reshape(self.rank, *inputs[0].shape[1:])
        b = (left * sign.T).reshape(left.shape + (1,) * (inputs[0].ndim - 2))
        return [convert(self.name, tensor, inputs[0].dtype) for tensor in (a, b)]
