"""``concat``: tensors one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.checks import dimension, one_result, same_dtype, same_rows, several, shapes
from surgery.ops.ways import Assembly, Way
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import interleave
from surgery.tensors.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


@OPS.register("concat")
@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Tensors one after the other along a dimension.

    Shapes: ``[a, …]``, ``[b, …]``, … to ``[a + b + …, …]``. Any dtype, the same for all. Errors: they differ in another
    dimension. With ``missing='zeros'`` the planner puts zeros (see :meth:`fill`) where a tensor of the group is absent.

    >>> from surgery.ops.base import floats
    >>> print(*Concat(dim=0).infer(floats((4, 8), (2, 8)), None))
    float32 [6, 8]
    """

    arity: ClassVar[Literal["join"]] = "join"
    example: ClassVar[str] = "layer.{i}.(query|key|value) -> blocks.{i}.attn.qkv via concat(dim=0)"
    dim: int = 0
    missing: Literal["zeros"] | None = None

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        several(self, inputs, 1)
        one_result(self, outputs)
        dtype = same_dtype(self, inputs)
        shape = inputs[0].shape
        dim = dimension(self, self.dim, inputs[0])
        if len({(len(spec.shape), spec.shape[:dim], spec.shape[dim + 1 :]) for spec in inputs}) > 1:
            raise OpError(f"`concat` wants shapes that are equal except in dimension {dim}, not {shapes(inputs)}")
        total = sum(spec.shape[dim] for spec in inputs)
        return (Spec((*shape[:dim], total, *shape[dim + 1 :]), dtype),)

    def fill(self, specs: tuple[Spec | None, ...]) -> tuple[Spec, ...]:
        """The group with a specification for each absent tensor (None): that of the present ones.

        Raises:
            OpError: none is present, or the present ones differ, so that the absent ones are not known.
        """
        present = tuple(spec for spec in specs if spec is not None)
        if not present:
            raise OpError("`concat` has nothing to fill in: every tensor of the group is missing")
        if len(present) < len(specs) and len(set(present)) > 1:
            raise OpError(f"`concat` cannot tell the shape of a missing tensor from {shapes(present)}", "missing")
        return tuple(present[0] if spec is None else spec for spec in specs)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        return [torch.cat(inputs, self.dim)]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        from surgery.ops.split import views_of

        return Assembly(lambda arrays, result: zip(views_of(result, self.dim, inputs), arrays, strict=True))

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        (spec,) = self.infer(tuple(stored.spec for stored in inputs), outputs)
        joined = interleave(inputs, self.dim % len(spec.shape), spec)
        return None if joined is None else (joined,)

    def in_order(self, inputs: tuple[Spec, ...]) -> bool:
        return set(inputs[0].shape[: dimension(self, self.dim, inputs[0])]) <= {1}

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        if dimension(self, self.dim, inputs[0]):
            return same_rows(inputs, rows)
        found: list[range] = []
        start = 0
        for spec in inputs:
            count = spec.shape[0]
            found.append(range(max(rows.start - start, 0), min(max(rows.stop - start, 0), count)))
            start += count
        return tuple(found)

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op:
        from surgery.ops.chunk import Chunk
        from surgery.ops.split import Split

        sizes = tuple(spec.shape[self.dim] for spec in inputs)
        return Chunk(dim=self.dim) if len(set(sizes)) == 1 else Split(sizes, dim=self.dim)
