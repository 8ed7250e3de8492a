"""What a plan was made of, and whether it is still that when the plan is carried out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from surgery.diagnostics import fail
from surgery.tensors.expr import Held, leaves
from surgery.tensors.spec import format_shape

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["refuse_changed", "times_of"]


def times_of(files: Iterable[str]) -> dict[str, int]:
    """When each file was last written to, in nanoseconds; a file that is gone will be missed when it is read."""
    times: dict[str, int] = {}
    for path in files:
        with suppress(OSError):
            times[path] = os.stat(path).st_mtime_ns
    return times


def refuse_changed(plan: Plan) -> None:
    """Whether files, and tensors that were given, are what they were in the plan.

    Raises:
        SurgeryError: code ``source-changed``: somebody wrote into a file, or a tensor has another shape.
    """
    for path, now in times_of(plan.times).items():
        if now != plan.times[path]:
            message = f"`{path}` was written to after the plan was made"
            raise fail("source-changed", message, notes=("make the plan again",))
    for key, entry in plan.subject.entries.items():
        for leaf in leaves(entry.expr):
            if not isinstance(leaf, Held) or leaf.spec.dtype.kind == "opaque":
                continue
            now_shape = tuple(leaf.tensor.shape)
            if now_shape != leaf.spec.shape:
                was = f"was {leaf.spec} in the plan, and is {format_shape(now_shape)} now"
                message = f"`{key}`: a tensor that was given {was}"
                raise fail("source-changed", message, notes=("make the plan again",))
