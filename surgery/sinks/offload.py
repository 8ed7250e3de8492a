"""Weights that stay on the disk: from which safetensors file each is brought in, and which have to be written first."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from surgery.diagnostics import SurgeryError
from surgery.formats import read
from surgery.planning.context import Context
from surgery.sinks.base import Embed, Request
from surgery.sinks.layout import Block, FileLayout, Layout
from surgery.sinks.safetensors import SafetensorsSink
from surgery.sinks.target import Target, check_target
from surgery.tensors.expr import Stored, TensorExpr
from surgery.tensors.spec import format_bytes
from surgery.tensors.subject import Entry, Subject
from surgery.wording import listed

__all__ = ["Lying", "Offloading", "check_offload", "offloading_of"]

_INDEX = "index.json"


class Lying(NamedTuple):
    """Where a tensor lies: the safetensors file, and its name there."""

    file: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Offloading:
    """What stays on the disk.

    Attributes:
        lying: key -> where it lies, for what is used from the file that it came in.
        written: what is written to the folder; no entries where there is nothing to write.
    """

    lying: Mapping[str, Lying]
    written: Subject

    @property
    def target(self) -> Target | None:
        """Where the rest is written; None where there is nothing to write, or no folder is named."""
        offload = self.written.offload
        if offload.folder is None or not self.written.entries:
            return None
        request = Request(directory=True, span=offload.span)
        folder = Path(offload.folder)
        return Target(folder, "offload", _Sink(self.lying, folder), request, offload.overwrite)

    def index(self) -> dict[str, Lying]:
        """Key -> where it lies once the rest is written."""
        target = self.target
        return {**self.lying, **(_written(self.written, target.path) if target is not None else {})}


def offloading_of(subject: Subject) -> Offloading:
    """What of a model stays on the disk. Of the safetensors files that its tensors lie in, the headers are read."""
    entries = {key: entry for key, entry in subject.entries.items() if entry.device == "disk"}
    known: dict[str, Mapping[tuple[int, int], tuple[str, TensorExpr]]] = {}
    lying = {}
    for key, entry in entries.items():
        found = _lying(entry, known)
        if found is not None:
            lying[key] = found
    rest = {key: entry for key, entry in entries.items() if key not in lying}
    return Offloading(lying, Subject(rest, offload=subject.offload))


def check_offload(subject: Subject, context: Context) -> None:
    """Report what would keep weights from staying on the disk; nothing is written."""
    if all(entry.device != "disk" for entry in subject.entries.values()):
        return
    span = subject.offload.span
    if subject.skeleton is None:
        note = "a step after `device_map` made a bare state dict of the model"
        context.report("needs-a-model", "`disk` is for the weights of a model", span, (note,))
        return
    found = offloading_of(subject)
    if found.lying:
        size = _size(entry for key, entry in subject.entries.items() if key in found.lying)
        files = sorted({os.path.basename(place.file) for place in found.lying.values()})
        context.remarks.append(f"on the disk: {size} in {listed(files, 3)}, as they lie there")
    if found.written.entries:
        _check_written(found, context)


def _check_written(found: Offloading, context: Context) -> None:
    target, subject = found.target, found.written
    if target is None:
        message = f"{listed(subject.entries, 3)}: in no safetensors file as the result has it"
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


def _lying(entry: Entry, known: dict[str, Mapping[tuple[int, int], tuple[str, TensorExpr]]]) -> Lying | None:
    """Where a tensor lies, if it lies in a safetensors file as it is.

    A tensor of the same bytes under another shape or dtype does not: it is asked for by its name in the file.
    """
    expr = entry.expr
    if not isinstance(expr, Stored) or len(expr.ranges) != 1:
        return None
    piece = expr.ranges[0]
    if piece.path not in known:
        known[piece.path] = _tensors_of(piece.path)
    name, there = known[piece.path].get((piece.offset, piece.length), ("", None))
    return Lying(piece.path, name) if there is not None and there.spec == expr.spec else None


def _tensors_of(path: str) -> dict[tuple[int, int], tuple[str, TensorExpr]]:
    """The tensors of a safetensors file by the place of their bytes; none for a file of another format."""
    found = read(path)
    if found.format != "safetensors":
        return {}
    tensors: dict[tuple[int, int], tuple[str, TensorExpr]] = {}
    for name, expr in found.tree.items():
        if isinstance(expr, Stored) and len(expr.ranges) == 1:
            # a name that is an alias comes after the one that is in the header
            tensors.setdefault((expr.ranges[0].offset, expr.ranges[0].length), (name, expr))
    return tensors


def _written(subject: Subject, folder: Path) -> dict[str, Lying]:
    """Key -> where it lies in the folder. Tied tensors lie there once, under the first of their names."""
    first: dict[int, str] = {}
    file = os.path.abspath(folder / "model.safetensors")
    return {key: Lying(file, first.setdefault(id(entry.expr), key)) for key, entry in subject.entries.items()}


class _Sink(SafetensorsSink):
    """A safetensors file, and beside it the index with which accelerate finds all that stays on the disk."""

    def __init__(self, lying: Mapping[str, Lying], folder: Path) -> None:
        self._lying = lying
        self._folder = folder

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        made = super().layout(subject, request, embed)
        index = {}
        for key, at in {**self._lying, **_written(subject, self._folder)}.items():
            index[key] = {"safetensors_file": at.file, "weight_name": at.name}
        text = json.dumps(index, indent=2, ensure_ascii=False).encode()
        file = FileLayout(_INDEX, len(text), (Block(0, text),), ())
        return Layout((*made.files, file), True, made.tensors, made.notes)

    def replaceable(self, name: str) -> bool:
        return name == _INDEX or super().replaceable(name)
