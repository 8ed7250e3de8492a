"""``select`` and ``flip``: indices of a dimension in another order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, same_rows, single
from surgery.ops.ways import Assembly, Views, Way, along
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import parts, runs_of
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.ops.ways import Array


@OPS.register("select")
@dataclass(frozen=True, slots=True)
class Select(Op):
    """The given indices of a dimension, in the order given; an index may come twice.

    Shapes: ``select([0, 2])`` makes ``[2, …]`` of ``[3, …]``. Any dtype. Negative indices count from the end. Errors:
    an index that the dimension does not have.

    >>> from surgery.ops.base import floats
    >>> print(*Select((2, 1, 0), dim=1).infer(floats((64, 3, 7, 7)), None))
    float32 [64, 3, 7, 7]
    """

    example: ClassVar[str] = "conv1.weight -> conv1.weight via select([2, 1, 0], dim=1)"
    indices: tuple[int, ...]
    dim: int = 0

    def __post_init__(self) -> None:
        if not self.indices:
            raise OpError("`select` needs at least one index", "indices")

    def _places(self, spec: Spec) -> tuple[int, list[int]]:
        dim = dimension(self, self.dim, spec)
        size = spec.shape[dim]
        for index in self.indices:
            if not -size <= index < size:
                shape = format_shape(spec.shape)
                raise OpError(f"`select`: dimension {dim} of {shape} has size {size}, so no index {index}", "indices")
        return dim, [index % size for index in self.indices]

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        dim, places = self._places(spec)
        return (Spec((*spec.shape[:dim], len(places), *spec.shape[dim + 1 :]), spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        from surgery.ops.arithmetic import spec_of

        dim, places = self._places(spec_of(inputs[0]))
        return [inputs[0][(slice(None),) * dim + (torch.tensor(places),)]]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        dim, places = self._places(inputs[0])

        def pieces(arrays: list[Array], result: Array) -> Iterator[tuple[Array, Array]]:
            at = 0
            for first, count in runs_of(places):
                yield result[along(dim, slice(at, at + count))], arrays[0][along(dim, slice(first, first + count))]
                at += count

        return Assembly(pieces)

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        dim, places = self._places(inputs[0].spec)
        part = parts(inputs[0], dim, places, self.infer((inputs[0].spec,), outputs)[0])
        return None if part is None else (part,)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.dim)

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op | None:
        dim, places = self._places(inputs[0])
        if len(set(places)) < inputs[0].shape[dim]:
            return None
        return Select(tuple(map(places.index, range(inputs[0].shape[dim]))), dim=self.dim)


@OPS.register("flip")
@dataclass(frozen=True, slots=True)
class Flip(Op):
    """A dimension in reverse order.

    Shapes stay. Any dtype. Errors: a dimension that the tensor does not have.

    >>> from surgery.ops.base import floats
    >>> print(*Flip(dim=1).infer(floats((64, 3, 7, 7)), None))
    float32 [64, 3, 7, 7]
    """

    example: ClassVar[str] = "conv1.weight -> conv1.weight via flip(dim=1)"
    dim: int = 0

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        dimension(self, self.dim, spec)
        return (spec,)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        from surgery.ops.arithmetic import bits

        return [bits(inputs[0]).flip(self.dim).view(inputs[0].dtype)]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        where = along(dimension(self, self.dim, inputs[0]), slice(None, None, -1))
        return Views(lambda array: [array[where]])

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        spec = inputs[0].spec
        dim = dimension(self, self.dim, spec)
        part = parts(inputs[0], dim, range(spec.shape[dim] - 1, -1, -1), spec)
        return None if part is None else (part,)

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return same_rows(inputs, rows, self.dim)

    def inverse_anywhere(self) -> Op:
        return self
