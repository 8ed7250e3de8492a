"""A plan carried out: all outputs are written under temporary names, and then get their names together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.engine.evaluation import Failure
from surgery.engine.flow import contents, needs_torch
from surgery.engine.leaves import bytes_of_tensor
from surgery.engine.reading import SourceFiles
from surgery.engine.space import OpenFile
from surgery.engine.stream import write_files
from surgery.engine.values import Values, explain
from surgery.files.atomic import DirectoryDraft, Draft, FileDraft
from surgery.files.signals import raise_again, signals_raised
from surgery.sinks.base import Progress, Written
from surgery.sinks.layout import Layout
from surgery.sinks.target import Target, targets_of
from surgery.tensors.expr import TensorExpr
from surgery.tensors.state import FileState
from surgery.tensors.subject import Subject

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["write_outputs", "write_targets"]


def write_outputs(
    plan: Plan, progress: Progress | None = None, *, provenance: str = "", digest: bool = False
) -> tuple[Written, ...]:
    """Write the outputs of a plan: all of them, or none.

    (Should a name be taken between the check and the end, an output before it may have got its own already.)

    Args:
        plan: what is written.
        progress: called with numbers of bytes as they are written.
        provenance: the record of what makes the result, as JSON, for the outputs that take it.
        digest: whether those get checksums of their contents, in a format that has none.

    Raises:
        SurgeryError: codes ``output``, ``output-exists``, ``no-space``, ``source-changed``, ``corrupt-checkpoint``,
            ``execution``, ``no-memory``. What stood at the outputs' paths is as it was.
    """
    targets = targets_of(plan.outputs, Path(plan.recipe.directory), provenance, digest=digest)
    return write_targets(plan.subject, targets, progress, states=plan.files)


def write_targets(
    subject: Subject,
    targets: Sequence[Target],
    progress: Progress | None = None,
    *,
    states: Mapping[str, FileState] | None = None,
) -> tuple[Written, ...]:
    """Write a subject to resolved outputs; see `write_outputs`.

    Every output is complete before the first gets its name, so that an output may stand where a source is.
    """
    with ExitStack() as stack:
        stack.enter_context(signals_raised())
        files = stack.enter_context(SourceFiles(states))
        layouts = [target.sink.layout(subject, target.request, lambda e: _embedded(e, files)) for target in targets]
        drafts = [stack.enter_context(_draft(target)) for target in targets]
        opened = [
            file
            for draft, layout, target in zip(drafts, layouts, targets, strict=True)
            for file in _open_files(draft, layout, target)
        ]
        write_files(opened, files, progress or _ignore)
        files.refuse_written()
        raise_again()
        for draft in drafts:
            draft.publish()
    return tuple(map(_written, targets, layouts))


def _ignore(count: int) -> None:
    pass


def _draft(target: Target) -> Draft:
    span = target.request.span
    if target.request.directory:
        replaceable = target.sink.replaceable
        return DirectoryDraft(target.path, overwrite=target.overwrite, span=span, replaceable=replaceable)
    return FileDraft(target.path, overwrite=target.overwrite, span=span)


def _open_files(draft: Draft, layout: Layout, target: Target) -> list[OpenFile]:
    return [
        OpenFile(file, draft.create(file.name), target.path / file.name, target.request.span) for file in layout.files
    ]


def _written(target: Target, layout: Layout) -> Written:
    files = {file.name or target.path.name: file.size for file in layout.files}
    return Written(target.path, files, layout.tensors, layout.notes)


def _embedded(expr: TensorExpr, files: SourceFiles) -> bytes:
    """The bytes of a tensor that stands in the middle of other data."""
    try:
        if not needs_torch(expr):
            (chunks,) = contents([expr], files)
            return b"".join(map(bytes, chunks))
        return bytes(bytes_of_tensor(Values([expr], files).take(expr)))
    except Failure as failure:
        raise explain(failure, "an array of the checkpoint", ()) from failure.error
