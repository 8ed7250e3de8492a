"""Expressions evaluated by torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from surgery.diagnostics import SurgeryError, fail
from surgery.engine.evaluation import Evaluation, Failure
from surgery.engine.leaves import leaf_tensor
from surgery.engine.reading import SourceFiles
from surgery.engine.scratch import Scratch
from surgery.engine.threads import use_one_thread
from surgery.ops.base import OpError
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.subject import Touch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Values", "explain"]


class Values(Evaluation["Tensor"]):
    """The values of some expressions as tensors on the CPU. They may be views, and share storage with each other.

    Args:
        roots: what will be taken, in that order.
        files: where stored bytes are read from.
        scratch: memory for what is read; values are then valid as long as it is lent.
    """

    def __init__(self, roots: Iterable[TensorExpr], files: SourceFiles, scratch: Scratch | None = None) -> None:
        super().__init__(roots)
        self._files = files
        self._scratch = scratch

    def _leaf(self, expr: TensorExpr) -> Tensor:
        return leaf_tensor(expr, self._files, self._scratch)

    def _apply(self, node: Computed, inputs: list[Tensor]) -> list[Tensor]:
        import torch

        use_one_thread()
        try:
            with torch.no_grad():
                return node.operation.apply(inputs, node.outputs)
        except (OpError, RuntimeError, TypeError, MemoryError) as error:
            raise Failure(node.operation, error) from error


def explain(failure: Failure, key: str, trail: tuple[Touch, ...]) -> SurgeryError:
    """The failure of an operation as an error about the tensor `key`, at the rule that asked for the operation."""
    error = failure.error
    name = str(failure.operation)
    touches = [touch for touch in trail if touch.span is not None]
    asked = [touch for touch in touches if name in touch.action] or touches
    span = asked[-1].span if asked else None
    if isinstance(error, OpError):
        notes = (error.suggestion,) if error.suggestion else ()
        return fail("execution", f"`{key}`: {error.message}", span, notes, error)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return fail("no-memory", f"`{key}`: {name} needs more memory than there is", span, (), error)
    return fail("execution", f"`{key}`: {name} failed: {str(error).splitlines()[0]}", span, (), error)
