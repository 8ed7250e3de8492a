"""What carrying out a plan will take: bytes read, bytes written, peak memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.engine.cost import cost_in_memory, cost_of_layouts
from surgery.garbage import without_collection
from surgery.plan import Cost
from surgery.provenance.making import record_of
from surgery.sinks.base import blank
from surgery.sinks.offload import offloading_of
from surgery.sinks.target import targets_of
from surgery.tensors.expr import Held

if TYPE_CHECKING:
    from surgery.plan import Plan
    from surgery.tensors.subject import Subject

__all__ = ["cost_of"]


@without_collection()
def cost_of(plan: Plan) -> Cost:
    """The cost of writing the outputs of a plan, or, where it has none, of a result in memory. Nothing is read.

    What readers had to unpack into memory is there as long as the plan; what the caller gave is the caller's.

    Raises:
        SurgeryError: something of the result does not fit into a file of its format.
    """
    cost = _cost_of_outputs(plan) if plan.outputs else _cost_of_result(plan.subject)
    return dataclasses.replace(cost, peak=cost.peak + _unpacked(plan))


def _cost_of_outputs(plan: Plan) -> Cost:
    record = record_of(plan, draft=True).to_text()
    targets = targets_of(plan.outputs, Path(plan.recipe.directory), record)
    return cost_of_layouts(target.sink.layout(plan.subject, target.request, blank) for target in targets)


def _cost_of_result(subject: Subject) -> Cost:
    """The cost of a result in memory; what stays on the disk is written before the rest is read."""
    made = {id(e.expr): e for e in subject.entries.values() if e.device not in ("disk", "meta")}
    passing = [entry.expr for entry in made.values() if entry.device is not None]
    cost = cost_in_memory([entry.expr for entry in made.values()], passing)
    found = offloading_of(subject)
    if found.target is None:
        return cost
    first = cost_of_layouts([found.target.sink.layout(found.written, found.target.request, blank)])
    return Cost(first.read + cost.read, first.written, max(first.peak, cost.peak))


def _unpacked(plan: Plan) -> int:
    """Bytes of arrays that stand in a source compressed, or as text."""
    arrays = {expr for opened in plan.opened if opened.checkpoint for expr in opened.checkpoint.traits}
    return sum(expr.spec.nbytes for expr in arrays if isinstance(expr, Held))
