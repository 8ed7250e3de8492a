"""A check that travels with a tensor: its values are finite, or the run ends. Not an operation that a recipe names."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING

from surgery.diagnostics import Span, fail
from surgery.ops.base import Op
from surgery.ops.checks import FLOATS, single
from surgery.ops.ways import Elementwise, Views, Way
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.ops.ways import Array

__all__ = ["Finite"]


@dataclass(frozen=True, slots=True)
class Finite(Op):
    """The tensor itself, once all its values are known to be finite.

    Shapes: stay. Any dtype; integers are always finite. Errors, when it runs: code ``check-failed``, naming `key` and
    the first value that is infinite or not a number.

    Attributes:
        key: what the tensor was called when the check was asked for.
        span: where it was asked for.
    """

    key: str
    span: Span | None = None

    def infer(self, inputs: tuple[Spec, ...], outputs: int | None) -> tuple[Spec, ...]:
        return (single(self, inputs, outputs),)

    def apply(self, inputs: list[Tensor], outputs: int) -> list[Tensor]:
        import torch

        values = inputs[0]
        # isfinite is not written for the types of one byte
        wide = values.float() if values.is_floating_point() and values.element_size() == 1 else values
        finite = torch.isfinite(wide)
        if not bool(finite.all()):
            wrong = (~finite).nonzero()
            first = tuple(int(index) for index in wrong[0])
            raise self.failure(len(wrong), wide.numel(), first, wide[first].item())
        return [values]

    def failure(self, count: int, total: int, first: tuple[int, ...], value: float) -> Exception:
        """The error about `count` of `total` values, the first of which stands at `first`."""
        message = (
            f"`{self.key}` is not finite: {count} of {total} values are infinite or not a number, the "
            f"first at {format_shape(first)} ({value})"
        )
        return fail("check-failed", message, self.span)

    def without_torch(self, inputs: tuple[Spec, ...], outputs: int) -> Way | None:
        spec = inputs[0]
        if spec.dtype.name in FLOATS:
            return Elementwise(lambda: _Watching(self, spec))
        return Views(lambda array: [array]) if spec.dtype.kind in ("int", "uint", "bool") else None

    def __str__(self) -> str:
        return "finite"


class _Watching:
    """A kernel that changes nothing, counts values that are not finite by their bits, and remembers the first."""

    def __init__(self, check: Finite, spec: Spec) -> None:
        self._check = check
        self._spec = spec
        self._exponent = (2**spec.dtype.exponent - 1) << (spec.dtype.mantissa - 1)
        self._seen = self._wrong = 0
        self._first: tuple[int, float] | None = None

    def __call__(self, block: Array) -> Array:
        import numpy

        wrong = (block & self._exponent) == self._exponent
        count = int(numpy.count_nonzero(wrong))
        if count and self._first is None:
            place = int(wrong.argmax())
            self._first = self._seen + place, self._value(int(block[place]))
        self._seen, self._wrong = self._seen + block.size, self._wrong + count
        return block

    def _value(self, bits: int) -> float:
        sign = bits >> (8 * self._spec.dtype.size - 1)
        infinite = bits == self._exponent | sign << (8 * self._spec.dtype.size - 1)
        return (-inf if sign else inf) if infinite else nan

    def finish(self) -> None:
        if self._first is None:
            return
        place, value = self._first
        index: list[int] = []
        for size in reversed(self._spec.shape):
            place, at = divmod(place, size)
            index.insert(0, at)
        raise self._check.failure(self._wrong, self._spec.numel, tuple(index), value)
