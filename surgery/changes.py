"""What a plan was made of, and whether it is still that when the plan is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surgery.diagnostics import fail
from surgery.tensors.expr import Held, leaves
from surgery.tensors.spec import format_shape
from surgery.tensors.state import check_state

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["refuse_changes"]


def refuse_changes(plan: Plan) -> None:
    """Whether files, and tensors that were given, are what they were in the plan.

    Raises:
        SurgeryError: code ``source-changed``: somebody wrote into a file, or a tensor has another shape.
    """
    for path, state in plan.files.items():
        check_state(path, state)
    for key, entry in plan.subject.entries.items():
        for leaf in leaves(entry.expr):
            if not isinstance(leaf, Held) or leaf.spec.dtype.kind == "opaque":
                continue
            now_shape = tuple(leaf.tensor.shape)
            if now_shape != leaf.spec.shape:
                was = f"was {leaf.spec} in the plan, and is {format_shape(now_shape)} now"
                message = f"`{key}`: a tensor that was given {was}"
                raise fail("source-changed", message, notes=("make the plan again",))
