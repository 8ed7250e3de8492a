"""``rearrange``, ``repeat`` and ``reduce``: what einops writes as a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from surgery.ops import OPS
from surgery.ops.arithmetic import convert, widened
from surgery.ops.base import Op, OpError
from surgery.ops.checks import FLOATS, INTEGERS, computable, single
from surgery.ops.patterns import Solved, arranged, backward, check, solve
from surgery.ops.ways import Views, Way
from surgery.tensors.expr import Stored
from surgery.tensors.ranges import relabel
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor


def _rows(solved: Solved, axes: tuple[tuple[str, int], ...], rows: range) -> tuple[range] | None:
    """The same rows, where the first dimension is one axis, whose size is not given, and stays the first."""
    left, right = solved.left[:1], solved.right[:1]
    stays = bool(left) and left == right and len(left[0]) == 1 and left[0][0] not in dict(axes)
    return (rows,) if stays else None


@OPS.register("rearrange")
@dataclass(frozen=True, slots=True)
class Rearrange(Op):
    """Dimensions split, reordered and joined, in the notation of einops.

    Shapes: as the pattern says. Any dtype. Errors: the pattern has an axis on one side only, or does not fit the shape.

    >>> from surgery.ops.base import floats
    >>> print(*Rearrange("(h d two) e -> (h two d) e", (("h", 12), ("two", 2))).infer(floats((768, 64)), None))
    float32 [768, 64]
    """

    keywords: ClassVar[str] = "axes"
    example: ClassVar[str] = 'wq.weight -> wq.weight via rearrange("(h d two) e -> (h two d) e", h=12, two=2)'
    pattern: str
    axes: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        check("rearrange", self.pattern, self.axes)

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        return (Spec(solve("rearrange", self.pattern, self.axes, spec.shape).shape, spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import einops

        return [einops.rearrange(inputs[0], self.pattern, **dict(self.axes))]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        solved = solve("rearrange", self.pattern, self.axes, inputs[0].shape)
        return Views(lambda array: [arranged(array, solved)])

    def rearrange(self, inputs: tuple[Stored, ...], outputs: int) -> tuple[Stored, ...] | None:
        spec = inputs[0].spec
        solved = solve("rearrange", self.pattern, self.axes, spec.shape)
        return (relabel(inputs[0], Spec(solved.shape, spec.dtype)),) if solved.keeps_order else None

    def in_order(self, inputs: tuple[Spec, ...]) -> bool:
        return solve("rearrange", self.pattern, self.axes, inputs[0].shape).keeps_order

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return _rows(solve("rearrange", self.pattern, self.axes, inputs[0].shape), self.axes, rows)

    def inverse(self, inputs: tuple[Spec, ...], outputs: tuple[Spec, ...]) -> Op | None:
        solved = solve("rearrange", self.pattern, self.axes, inputs[0].shape)
        joined = [axis for group in solved.right if len(group) > 1 for axis in group]
        if not all(solved.sizes[axis] for axis in joined):
            return None  # the size of an axis that is given is positive
        return Rearrange(backward(self.pattern, solved), tuple((axis, solved.sizes[axis]) for axis in joined))

    def inverse_anywhere(self) -> Op | None:
        """The pattern from right to left, where the sizes that are given tell all that it will need."""
        _, right = check("rearrange", self.pattern, self.axes)
        given, wanted = dict(self.axes), []
        for group in right.composition:
            if len(group) < 2 or isinstance(group, str):
                continue
            if not all(isinstance(axis, str) and axis.isidentifier() for axis in group):
                return None
            known = [(axis, given[axis]) for axis in group if axis in given]
            if len(known) < len(group) - 1:
                return None
            wanted += known
        left_text, right_text = (side.strip() for side in self.pattern.split("->"))
        return Rearrange(f"{right_text} -> {left_text}", tuple(sorted(wanted, key=list(given.items()).index)))


@OPS.register("repeat")
@dataclass(frozen=True, slots=True)
class Repeat(Op):
    """Elements repeated along new axes, in the notation of einops.

    Shapes: as the pattern says. Any dtype. Errors: a new axis without a size; the pattern does not fit the shape.

    >>> from surgery.ops.base import floats
    >>> print(*Repeat("(g d) e -> (g r d) e", (("g", 8), ("r", 4))).infer(floats((512, 64)), None))
    float32 [2048, 64]
    """

    keywords: ClassVar[str] = "axes"
    example: ClassVar[str] = 'wk.weight -> wk.weight via repeat("(g d) e -> (g r d) e", g=8, r=4)'
    pattern: str
    axes: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        check("repeat", self.pattern, self.axes)

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        return (Spec(solve("repeat", self.pattern, self.axes, spec.shape).shape, spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import einops

        return [einops.repeat(inputs[0], self.pattern, **dict(self.axes))]

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way:
        solved = solve("repeat", self.pattern, self.axes, inputs[0].shape)
        return Views(lambda array: [arranged(array, solved)])

    def rows(self, inputs: tuple[Spec, ...], rows: range) -> tuple[range | None, ...] | None:
        return _rows(solve("repeat", self.pattern, self.axes, inputs[0].shape), self.axes, rows)


@OPS.register("reduce")
@dataclass(frozen=True, slots=True)
class Reduce(Op):
    """Axes reduced to one element, in the notation of einops.

    Shapes: as the pattern says. Floats, which stay; 16-bit ones are computed in float32 and rounded once; integers for
    ``min`` and ``max``. Errors: the pattern does not fit the shape; other dtypes; the mean, least or largest of
    nothing; when it runs, a result that overflows a 16-bit type.

    >>> from surgery.ops.base import floats
    >>> print(*Reduce("(g r d) e -> (g d) e", "mean", (("g", 8), ("r", 4))).infer(floats((2048, 64)), None))
    float32 [512, 64]
    """

    keywords: ClassVar[str] = "axes"
    example: ClassVar[str] = "wk.weight -> wk.weight via reduce(\"(g r d) e -> (g d) e\", 'mean', g=8, r=4)"
    pattern: str
    how: Literal["min", "max", "mean", "sum", "prod"]
    axes: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        check("reduce", self.pattern, self.axes)

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        spec = single(self, inputs, outputs)
        computable(self, spec, FLOATS | INTEGERS if self.how in ("min", "max") else FLOATS)
        solved = solve("reduce", self.pattern, self.axes, spec.shape)
        if self.how in ("min", "max", "mean") and not all(solved.sizes[axis] for axis in solved.dropped):
            raise OpError(f"`reduce`: {format_shape(spec.shape)} has nothing to take the {self.how} of", "how")
        return (Spec(solved.shape, spec.dtype),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import einops

        reduced = einops.reduce(widened(inputs[0]), self.pattern, self.how, **dict(self.axes))
        return [convert(self.name, reduced, inputs[0].dtype)]
