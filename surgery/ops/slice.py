"""``slice``: a run of indices of a dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, positive, same_rows, single
from surgery.ops.ways import Views, Way, along
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import parts
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("slice")
@dataclass(frozen=True, slots=True)
class Slice(Op):
    """The indices from `start` to before `stop` of a dimension, or every `step`-th of them.

    Shapes: ``slice(2, 6)`` makes ``[4, …]`` of ``[10, …]``. Any dtype. Negative places count from the end; a `stop` of
    None is the end. Errors: unless ``0 <= start < stop <= size`` (Python's own would give fewer).

    >>> from surgery.ops.base import floats
    >>> print(*Slice(0, 32000).infer(floats((32064, 8)), None))
    float32 [32000, 8]
    """

    example: ClassVar[str] = "embed.weight -> embed.weight via slice(0, 32000)"
    start: int
    stop: int | None
    dim: int = 0
    step: int = 1

    def __post_init__(self) -> None:
        positive(self, self.step, "step")

    def _indices(self, spec: Spec) -> tuple[int, range]:
        dim = dimension(self, self.dim, spec)
        size = spec.shape[dim]
        start = self.start + size if self.start < 0 else self.start
        stop = size if self.stop is None else self.stop + size if self.stop < 0 else self.stop
        if not 0 <= start < stop <= size:
            raise OpError(
                f"`slice`: {self.start} to {self.stop} is no part of dimension {dim} of {format_shape(spec.shape)}, "
                f"which has size {size}",
                "start" if not 0 <= start < size else "stop",
            )
        return dim, range(start, stop, self.step)

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        dim, indices = self._indices(spec)
        return (Spec((*spec.shape[:dim], len(indices), *spec.shape[dim + 1 :]), spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        from surgery.ops.arithmetic import spec_of

        dim, indices = self._indices(spec_of(inputs[0]))
        where = slice(indices.start, indices.stop, indices.step)
        return [inputs[0][(slice(None),) * dim + (where,)]]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        dim, indices = self._indices(inputs[0])
        where = along(dim, slice(indices.start, indices.stop, indices.step))
        return Views(lambda array: [array[where]])

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        dim, indices = self._indices(inputs[0].spec)
        part = parts(inputs[0], dim, indices, self.infer((inputs[0].spec,), outputs)[0])
        return None if part is None else (part,)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.dim)
