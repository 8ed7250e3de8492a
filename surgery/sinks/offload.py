"""Weights that stay on the disk: those that are used from the file that they came in, and those to be written first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from surgery.diagnostics import SurgeryError
from surgery.planning.context import Context
from surgery.sinks.base import Request
from surgery.sinks.safetensors import SafetensorsSink
from surgery.sinks.target import Target, check_target
from surgery.tensors.expr import Stored
from surgery.tensors.spec import format_bytes
from surgery.tensors.subject import Entry, Subject
from surgery.wording import listed

__all__ = ["Offloading", "check_offload", "offloading_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Offloading:
    """What stays on the disk.

    Attributes:
        lying: key -> its bytes, for what lies in a source file as the result has it.
        written: what is written to the folder; no entries where there is nothing to write.
    """

    lying: Mapping[str, Stored]
    written: Subject

    @property
    def target(self) -> Target | None:
        """The folder; None where there is nothing to write, or the recipe names none."""
        offload = self.written.offload
        if offload.folder is None or not self.written.entries:
            return None
        request = Request(directory=True, span=offload.span)
        return Target(Path(offload.folder), "safetensors", SafetensorsSink(), request, offload.overwrite)


def offloading_of(subject: Subject) -> Offloading:
    """What of a model stays on the disk, and where."""
    entries = {key: entry for key, entry in subject.entries.items() if entry.device == "disk"}
    lying = {key: entry.expr for key, entry in entries.items() if isinstance(entry.expr, Stored)}
    rest = {key: entry for key, entry in entries.items() if key not in lying}
    return Offloading(lying, Subject(rest, offload=subject.offload))


def check_offload(subject: Subject, context: Context) -> None:
    """Report what would keep weights from staying on the disk; nothing is written."""
    if all(entry.device != "disk" for entry in subject.entries.values()):
        return
    if subject.skeleton is None:
        note = "a step after `device_map` made a bare state dict of the model"
        context.report("needs-a-model", "`disk` is for the weights of a model", subject.offload.span, (note,))
        return
    found = offloading_of(subject)
    if found.lying:
        size = _size(entry for key, entry in subject.entries.items() if key in found.lying)
        files = sorted({os.path.basename(piece.path) for expr in found.lying.values() for piece in expr.ranges})
        context.remarks.append(f"on the disk: {size} in {listed(files, 3)}, as they lie there")
    if found.written.entries:
        _check_written(found, context)


def _check_written(found: Offloading, context: Context) -> None:
    target, subject = found.target, found.written
    if target is None:
        message = f"{listed(subject.entries, 3)}: in no file as the result has it"
        note = "`offload_dir: DIRECTORY` says where it is written, to be brought in from there"
        context.report("device", message, subject.offload.span, (note,))
        return
    size = _size(subject.entries.values())
    context.remarks.append(f"on the disk: {size} that go to `{target.path}` when the model is made")
    try:
        check_target(target, subject, context)
    except SurgeryError as error:
        context.diagnostics.extend(error.diagnostics)


def _size(entries: Iterable[Entry]) -> str:
    return format_bytes(sum(expr.spec.nbytes for expr in {entry.expr for entry in entries}))
