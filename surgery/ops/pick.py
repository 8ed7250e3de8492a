"""``pick``: one of several tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import one_result
from surgery.ops.ways import Assembly, Way
from surgery.tensors.expr import Stored
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.ops.ways import Array


@OPS.register("pick")
@dataclass(frozen=True, slots=True)
class Pick(Op):
    """One of several tensors, as it stands; the others go.

    Shapes and dtypes may differ; the result has those of the tensor at `index`, which counts from the end where it is
    negative. This is how a tensor of one file takes the place of its namesake in another. Errors: an index that is not
    there.

    >>> from surgery.ops.base import floats
    >>> print(*Pick(1).infer(floats((10, 512), (12, 512)), None))
    float32 [12, 512]
    """

    arity: ClassVar[Literal["join"]] = "join"
    example: ClassVar[str] = "[base.{k:**}, tuned.{k}] -> {k} via pick(1)"
    index: int

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        one_result(self, outputs)
        if not -len(inputs) <= self.index < len(inputs):
            raise OpError(f"`pick`: of {len(inputs)} tensors there is no index {self.index}", "index")
        return (inputs[self.index],)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        return [inputs[self.index]]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        def pieces(arrays: list[Array], result: Array) -> Iterator[tuple[Array, Array]]:
            yield result, arrays[self.index]

        return Assembly(pieces)

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        picked = inputs[self.index]
        return (Stored(picked.spec, picked.ranges),)
