"""``reshape``, ``flatten``, ``squeeze`` and ``unsqueeze``: the same elements in the same order, in another shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, same_rows, single
from surgery.ops.ways import Views, Way
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import relabel
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


class _View(Op):
    """What these have in common: the bytes stay, and `infer` says all."""

    __slots__ = ()

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        from surgery.ops.arithmetic import spec_of

        return [inputs[0].reshape(self.infer((spec_of(inputs[0]),), 1)[0].shape)]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        return Views(lambda array: [array])

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        return (relabel(inputs[0], self.infer((inputs[0].spec,), outputs)[0]),)

    def in_order(self, inputs: tuple[Spec, ...]) -> bool:
        return True

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op:
        anywhere = self.inverse_anywhere()
        if anywhere is not None:
            return anywhere
        return Flatten() if len(inputs[0].shape) == 1 else Reshape(inputs[0].shape)


@OPS.register("reshape")
@dataclass(frozen=True, slots=True)
class Reshape(_View):
    """The elements in the same order, in the shape given; one size may be -1 and follows from the others.

    Shapes: any of the same number of elements. Any dtype. Errors: another number of elements.

    >>> from surgery.ops.base import floats
    >>> print(*Reshape((2, -1)).infer(floats((4, 3)), None))
    float32 [2, 6]
    """

    variadic: ClassVar[str] = "shape"
    example: ClassVar[str] = "pos_embed -> pos_embed via reshape(1, 197, 768)"
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(size < -1 for size in self.shape) or self.shape.count(-1) > 1:
            shape = format_shape(self.shape)
            raise OpError(f"`reshape` wants sizes from 0, and -1 at most once, not {shape}", "shape")

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        known = prod(size for size in self.shape if size != -1)
        fits = spec.numel == known
        shape = self.shape
        if -1 in shape:
            fits = known > 0 and spec.numel % known == 0
            shape = tuple(spec.numel // known if size == -1 else size for size in shape) if fits else shape
        if not fits:
            raise OpError(
                f"`reshape` cannot make {format_shape(self.shape)} of {format_shape(spec.shape)}, "
                f"which has {spec.numel} elements",
                "shape",
            )
        return (Spec(shape, spec.dtype),)


@OPS.register("flatten")
@dataclass(frozen=True, slots=True)
class Flatten(_View):
    """The dimensions from `start` to `end` (included) as one.

    Shapes: ``[a, b, c]`` to ``[a * b * c]``; a tensor of no dimensions to ``[1]``. Any dtype. Errors: a dimension that
    the tensor does not have; `start` behind `end`.

    >>> from surgery.ops.base import floats
    >>> print(*Flatten(start=1).infer(floats((64, 3, 7, 7)), None))
    float32 [64, 147]
    """

    example: ClassVar[str] = "patch_embed.weight -> patch_embed.weight via flatten(start=1)"
    start: int = 0
    end: int = -1

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        if not spec.shape and self.start in (0, -1) and self.end in (0, -1):
            return (Spec((1,), spec.dtype),)
        start, end = dimension(self, self.start, spec, "start"), dimension(self, self.end, spec, "end")
        if start > end:
            raise OpError(f"`flatten`: dimension {start} of {format_shape(spec.shape)} is behind {end}", "start")
        shape = (*spec.shape[:start], prod(spec.shape[start : end + 1]), *spec.shape[end + 1 :])
        return (Spec(shape, spec.dtype),)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.start)


@OPS.register("squeeze")
@dataclass(frozen=True, slots=True)
class Squeeze(_View):
    """Without a dimension of size 1.

    Shapes: ``[1, a]`` to ``[a]``. Any dtype. Errors: the size is not 1 (torch's own would then do nothing).

    >>> from surgery.ops.base import floats
    >>> print(*Squeeze(dim=0).infer(floats((1, 768)), None))
    float32 [768]
    """

    example: ClassVar[str] = "fc.weight -> fc.weight via squeeze(-1)"
    dim: int

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        dim = dimension(self, self.dim, spec)
        if spec.shape[dim] != 1:
            shape = format_shape(spec.shape)
            raise OpError(f"`squeeze`: dimension {dim} of {shape} has size {spec.shape[dim]}, not 1", "dim")
        return (Spec((*spec.shape[:dim], *spec.shape[dim + 1 :]), spec.dtype),)

    def inverse_anywhere(self) -> Op:
        return Unsqueeze(self.dim)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.dim)


@OPS.register("unsqueeze")
@dataclass(frozen=True, slots=True)
class Unsqueeze(_View):
    """With a new dimension of size 1 at `dim`.

    Shapes: ``[a]`` to ``[1, a]``. Any dtype. Errors: a place that the tensor does not have.

    >>> from surgery.ops.base import floats
    >>> print(*Unsqueeze(dim=-1).infer(floats((512, 10)), None))
    float32 [512, 10, 1]
    """

    example: ClassVar[str] = "cls -> cls_token via unsqueeze(0)"
    dim: int

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        dim = dimension(self, self.dim, spec, new=True)
        return (Spec((*spec.shape[:dim], 1, *spec.shape[dim:]), spec.dtype),)

    def inverse_anywhere(self) -> Op:
        return Squeeze(self.dim)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return (rows,) if inputs[0].shape and dimension(self, self.dim, inputs[0], new=True) else None
