"""``checkpoint``: the state dict of a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import SurgeryError, fail
from surgery.fields import main
from surgery.formats import Checkpoint, Rest, Trait, read
from surgery.formats.entries import StateDict, choose
from surgery.places import Place, locate, place
from surgery.planning.context import Context, Opened
from surgery.sources import SOURCES
from surgery.sources.base import Source
from surgery.sources.pickled import is_wanted_alive
from surgery.tensors.expr import TensorExpr
from surgery.tensors.subject import Entry, Origin, Subject

__all__ = ["CheckpointSource", "subject_of_checkpoint"]

_PLAIN = Trait()


@SOURCES.register("checkpoint")
@dataclass(frozen=True, slots=True)
class CheckpointSource(Source):
    """The state dict of a checkpoint: safetensors, torch (new, old, TorchScript, distributed), numpy, one file or many.

    The format is told by content. Nothing that the file holds is executed: objects of unknown classes are kept as they
    stand in the file, and a pickled module gives its parameters and buffers. What else the checkpoint holds (an epoch,
    an optimizer) travels along.

    A pickled module itself, as a model, is loaded where the caller allows that for this file: ``--allow pickle:PLACE``.
    With ``trust: pickle`` the recipe says that it wants the module, with ``trust: data`` that tensors will do.
    """

    example: ClassVar[str] = "{checkpoint: {path: model.pth, entry: state_dict_ema or state_dict}}"

    habits: ClassVar[Mapping[str, str]] = {
        word: f"it is a word of the place: `{{checkpoint: {{path: …, {word}: …}}}}`"
        for word in ("entry", "sha256", "separator", "map_location", "trust")
    }

    checkpoint: Place = main(place, help="a path, an address, or a mapping with `path`")

    def open(self, context: Context) -> Subject:
        """The subject of the state dict, no tensor data read."""
        where = self.checkpoint
        if not isinstance(where.path, str):
            raise fail("parameter", "the checkpoint is a parameter without a value", where.span)
        try:
            path = locate(where, context)
            found = read(path, name=where.path)
            state = choose(found, where.entry, where.separator)
        except SurgeryError as error:
            raise _meant_a_model(error, where).placed(where.span) from error
        context.files.update(found.files)
        context.remarks.extend(remark for remark in found.remarks if remark not in context.remarks)
        pinned_as = (where.path if "://" in where.path else found.path) if where.base is None else None
        context.opened.append(Opened(where.path, found, sha256=where.sha256, pinned_as=pinned_as))
        if is_wanted_alive(path, found, state, where, context):
            from surgery.model.live import subject_of_pickled

            rest = _rest(found, state, context.named(where.path))
            return subject_of_pickled(path, where, context).replace(rest=rest)
        return subject_of_checkpoint(found, state, where, context)

    def describe(self) -> str:
        """``checkpoint model.pth``."""
        return f"checkpoint {self.checkpoint}"


def subject_of_checkpoint(found: Checkpoint, state: StateDict, where: Place, context: Context) -> Subject:
    """The subject of a state dict; each of its tensors goes to ``context.inventory``."""
    source = context.named(where.path)
    entries: dict[str, Entry] = {}
    for key, tensor in state.tensors.items():
        origin = Origin(source, key)
        context.inventory[origin] = tensor.spec
        entries[key] = _entry(tensor, found.traits.get(tensor, _PLAIN), origin, state.kinds.get(key), where)
    return Subject(entries, rest=_rest(found, state, source), metadata=found.metadata)


def _meant_a_model(error: SurgeryError, where: Place) -> SurgeryError:
    """With a note where a checkpoint that is not there has the look of a model's name: ``source: resnet50``."""
    if not where.path.isidentifier():
        return error
    note = f"a model of torchvision is `{{torchvision: {where.path}}}`"
    return SurgeryError(
        dataclasses.replace(d, notes=(*d.notes, note)) if d.code == "no-file" else d for d in error.diagnostics
    )


def _entry(tensor: TensorExpr, trait: Trait, origin: Origin, kind: str | None, where: Place) -> Entry:
    trained = trait.requires_grad if kind == "parameter" else None
    return Entry(tensor, (origin,), kind=kind, requires_grad=trained, device=where.device(trait.location))


def _rest(found: Checkpoint, state: StateDict, source: str) -> Rest | None:
    """What else there is; None where the file held the state dict and nothing more."""
    if not state.entry and not state.extra and state.metadata is None:
        return None
    tree = {} if state.of_module and not state.entry else found.tree
    return Rest(tree, state.entry, state.extra, state.metadata, found.traits, source, state.tensors, state.kinds)
