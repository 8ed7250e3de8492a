"""``split``: parts of given sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, same_rows, single
from surgery.ops.concat import Concat
from surgery.ops.ways import Views, Way, along
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import parts
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.ops.ways import Array


@OPS.register("split")
@dataclass(frozen=True, slots=True)
class Split(Op):
    """Parts of the given sizes along a dimension.

    Shapes: ``[a + b + …, …]`` to ``[a, …]``, ``[b, …]``, …. Any dtype. Errors: the sizes do not add up to the
    dimension; they are not as many as the right side names.

    >>> from surgery.ops.base import floats
    >>> print(*Split((4096, 1024, 1024)).infer(floats((6144, 64)), 3), sep="; ")
    float32 [4096, 64]; float32 [1024, 64]; float32 [1024, 64]
    """

    arity: ClassVar[Literal["split"]] = "split"
    example: ClassVar[str] = "attn.c_qkv -> attn.(q|k|v) via split([4096, 1024, 1024], dim=0)"
    sizes: tuple[int, ...]
    dim: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 0:
            raise OpError(f"`split` wants sizes from 0, not {list(self.sizes)}", "sizes")

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs)
        dim = dimension(self, self.dim, spec)
        if outputs not in (None, len(self.sizes)):
            raise OpError(f"`split` has {len(self.sizes)} sizes, and the right side names {outputs}", "sizes")
        if sum(self.sizes) != spec.shape[dim]:
            raise OpError(
                f"`split`: the sizes {list(self.sizes)} add up to {sum(self.sizes)}, "
                f"and dimension {dim} of {format_shape(spec.shape)} is {spec.shape[dim]}",
                "sizes",
            )
        return tuple(Spec((*spec.shape[:dim], size, *spec.shape[dim + 1 :]), spec.dtype) for size in self.sizes)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return list(inputs[0].split_with_sizes(list(self.sizes), self.dim))

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        return Views(lambda array: views_of(array, self.dim, self.infer(inputs, outputs)))

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        return cut_up(inputs[0], self.dim, self.infer((inputs[0].spec,), outputs))

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.dim)

    def inverse_anywhere(self) -> Op:
        return Concat(dim=self.dim)


def cut_up(stored: Stored, dim: int, results: tuple[Spec, ...]) -> tuple[Stored, ...] | None:
    """Consecutive parts of `stored` along `dim`, of the sizes that `results` have there."""
    dim %= len(stored.spec.shape)
    found: list[Stored] = []
    start = 0
    for spec in results:
        part = parts(stored, dim, range(start, start + spec.shape[dim]), spec)
        if part is None:
            return None
        found.append(part)
        start += spec.shape[dim]
    return tuple(found)


def views_of(array: Array, dim: int, results: tuple[Spec, ...]) -> list[Array]:
    """The same of an array."""
    dim %= array.ndim
    found: list[Array] = []
    start = 0
    for spec in results:
        found.append(array[along(dim, slice(start, start + spec.shape[dim]))])
        start += spec.shape[dim]
    return found
