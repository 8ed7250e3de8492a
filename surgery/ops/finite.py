"""A check that travels with a tensor: its values are finite, or the run ends. Not an operation that a recipe names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from surgery.diagnostics import Span, fail
from surgery.ops.base import Op
from surgery.ops.checks import single
from surgery.tensors.spec import Spec, format_shape

if TYPE_CHECKING:
    from torch import Tensor

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
            raise self._failure(wide, finite)
        return [values]

    def _failure(self, values: Tensor, finite: Tensor) -> Exception:
        wrong = (~finite).nonzero()
        first = tuple(int(index) for index in wrong[0])
        message = (
            f"`{self.key}` is not finite: {len(wrong)} of {values.numel()} values are infinite or not a number, the "
            f"first at {format_shape(first)} ({values[first].item()})"
        )
        return fail("check-failed", message, self.span)

    def __str__(self) -> str:
        return "finite"
