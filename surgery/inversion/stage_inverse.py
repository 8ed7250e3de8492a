"""One step backwards, on the keys of a checkpoint, and the proof that it comes right."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.fields import Declared, Reader
from surgery.inversion.casts import cast_pieces
from surgery.inversion.identity import name_of, reduced
from surgery.inversion.others import dropping, other_pieces, tying
from surgery.inversion.pieces import Piece
from surgery.inversion.rules import rule_pieces
from surgery.inversion.stages import Stage
from surgery.planning.context import Context
from surgery.steps.cast import Cast
from surgery.steps.convert import Convert
from surgery.steps.rename import Rename
from surgery.steps.sequence import apply_steps, steps
from surgery.tensors.subject import Subject
from surgery.wording import listed

__all__ = ["stage_inverse"]


def stage_inverse(stage: Stage, values: Mapping[str, Any]) -> tuple[list[Piece], list[Diagnostic]]:
    """The steps that take one step back, and what there is to say; errors among it mean that there are none.

    Args:
        stage: the step at work.
        values: of the parameters.
    """
    if not _changes(stage):
        return [], []
    found = list(_found(stage, values))
    said = [one for one in found if isinstance(one, Diagnostic)]
    pieces = [one for one in found if isinstance(one, Piece)]
    if any(one.severity == "error" for one in said):
        return [], said
    try:
        restored = _applied(pieces, stage, values)
        pieces += (more := list(_finishing(stage, restored)))
        if more:
            restored = _applied(pieces, stage, values)
    except SurgeryError as error:
        notes = tuple(f"the inverse step: {d.message}" for d in error.diagnostics[:3])
        return [], [*said, Diagnostic("no-inverse", "this step cannot be taken back", stage.step.span, notes)]
    if wrong := _difference(stage, restored):
        return [], [*said, Diagnostic("no-inverse", wrong, stage.step.span)]
    return pieces, said


def _changes(stage: Stage) -> bool:
    """Whether a step changes any key or tensor, or a tie."""
    before, after = stage.before.entries, stage.after.entries
    same = before.keys() == after.keys() and all(
        name_of(after[key].expr) == name_of(entry.expr) for key, entry in before.items()
    )
    return not same or set(map(frozenset, stage.before.ties())) != set(map(frozenset, stage.after.ties()))


def _found(stage: Stage, values: Mapping[str, Any]) -> Iterator[Piece | Diagnostic]:
    match stage.step.step:
        case Rename() | Convert():
            return rule_pieces(stage, values)
        case Cast():
            return cast_pieces(stage, values)
    return other_pieces(stage, values)


def _applied(pieces: Sequence[Piece], stage: Stage, values: Mapping[str, Any]) -> Subject:
    """The subject that the inverse steps make of the result of a step.

    Raises:
        SurgeryError: they are no steps, or cannot be done.
    """
    from surgery.document.emit import emit
    from surgery.document.parse import parse_document

    if not pieces:
        return stage.after
    node = parse_document(emit([piece.data for piece in pieces]), "<inverse>")
    reader = Reader({name: Declared(name, value) for name, value in values.items()})
    placed = steps.read(node, reader)
    if reader.diagnostics:
        raise SurgeryError(reader.diagnostics)
    # a checkpoint says nothing of parameters and buffers, and has no modules
    entries = {key: dataclasses.replace(entry, kind=None) for key, entry in stage.after.entries.items()}
    return apply_steps(placed, Subject(entries), Context())


def _finishing(stage: Stage, restored: Subject) -> Iterator[Piece]:
    """What is left to do: parts that a step filled up, as ``concat(missing='zeros')`` does, go; ties come back."""
    if more := [key for key in restored.entries if key not in stage.before.entries]:
        yield dropping(more, list(stage.before.entries))
    yield from tying(stage.before, restored)


def _difference(stage: Stage, restored: Subject) -> str | None:
    """What keeps a restored subject from being what it was; None where it is."""
    before, after = stage.before.entries, restored.entries
    if lacking := [key for key in before if key not in after]:
        return f"backwards, this step does not give {listed(lacking, 3)}"
    if more := [key for key in after if key not in before]:
        return f"backwards, this step gives {listed(more, 3)}, which was not there"
    for key, entry in before.items():
        if name_of(reduced(after[key].expr)) != name_of(entry.expr):
            return f"backwards, this step does not give `{key}` the values that it had"
    return None
