"""Weights that stay on the disk: those that lie in no file as they are get written to the folder for them."""

from __future__ import annotations

from collections.abc import Mapping

from surgery.engine.execute import write_targets
from surgery.sinks.offload import Lying, offloading_of
from surgery.tensors.subject import Subject

__all__ = ["offload"]


def offload(subject: Subject, *, sizes: Mapping[str, int] | None = None) -> dict[str, Lying]:
    """Where each tensor of a subject lies that stays on the disk; what lies nowhere yet is written, or nothing.

    Args:
        subject: a model.
        sizes: how large source files were when the plan was made.

    Raises:
        SurgeryError: as `surgery.engine.execute.write_outputs`.
    """
    found = offloading_of(subject)
    if found.target is not None:
        write_targets(found.written, [found.target], sizes=sizes)
    return found.index()
