"""What a command line names: a checkpoint, by its path or address; a model of torchvision, or of a Python callable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.diagnostics import SurgeryError, fail
from surgery.formats import read
from surgery.formats.entries import ROOT, candidates, choose
from surgery.permissions import permissions
from surgery.places import Place, locate
from surgery.planning.context import Context
from surgery.sources import SOURCES
from surgery.sources.checkpoint import CheckpointSource
from surgery.tensors.subject import Subject

if TYPE_CHECKING:
    from surgery.report.inspect import Inspection

__all__ = ["context_of", "inspection_of", "subject_of"]

_MODEL = "torchvision:"
_CALLABLE = "python:"


def context_of(allow: Iterable[str]) -> Context:
    """The surroundings of a command: paths are relative to where the caller stands."""
    return Context(allow=permissions(allow), directory=Path.cwd())


def inspection_of(path: str, *, entry: str | None, allow: Iterable[str]) -> Inspection:
    """A checkpoint with every state dict in it, or with the one of a name.

    Raises:
        SurgeryError: there is no such file, it is broken, or there is no such entry.
    """
    from surgery.report.inspect import Inspection

    context = context_of(allow)
    checkpoint = read(locate(Place(path, base=os.getcwd()), context), name=path)
    if entry is not None:
        return Inspection(path, checkpoint, (choose(checkpoint, entry),))
    names = [".".join(candidate.entry) or ROOT for candidate in candidates(checkpoint.tree)]
    return Inspection(path, checkpoint, tuple(choose(checkpoint, name) for name in names))


def subject_of(name: str, context: Context, *, entry: str | None = None) -> Subject:
    """The subject of a checkpoint, or of a model: ``resnet50``, ``torchvision:resnet50``, ``python:pkg.models:build``.

    Raises:
        SurgeryError: there is no such checkpoint and no such model.
    """
    if name.startswith(_CALLABLE):
        return SOURCES["python"](python=name.removeprefix(_CALLABLE)).open(context)  # type: ignore[call-arg]
    if name.startswith(_MODEL) or _may_be_a_model(name):
        return _model(name.removeprefix(_MODEL), context, explicit=name.startswith(_MODEL))
    return CheckpointSource(Place(name, entry=entry, base=os.getcwd())).open(context)


def _may_be_a_model(name: str) -> bool:
    return name.isidentifier() and not os.path.exists(name)


def _model(name: str, context: Context, *, explicit: bool) -> Subject:
    source = SOURCES["torchvision"]
    try:
        return source(torchvision=name, weights=None).open(context)  # type: ignore[call-arg]
    except SurgeryError as error:
        if explicit:
            raise
        notes = [note for diagnostic in error.diagnostics for note in diagnostic.notes]
        raise fail("no-file", f"there is no file `{name}`, and torchvision has no such model", notes=notes) from error
