"""A model as a whole, pickled: what ``torch.save(model, path)`` writes, without holding its tensors in memory."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING

from surgery.diagnostics import SurgeryError, fail
from surgery.formats.additions import MEMBER
from surgery.formats.modules import unusual_names
from surgery.sinks import SINKS
from surgery.sinks.base import Embed, Request, Sink
from surgery.sinks.layout import FileLayout, Layout
from surgery.sinks.pickles.archive import archive_of
from surgery.sinks.pickles.model import ModelPickler
from surgery.sinks.pickles.tree import place
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.tensors.subject import Subject

__all__ = ["ModuleSink"]

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@SINKS.register("module")
class ModuleSink(Sink):
    """Writes the model itself, as ``torch.save(model, path)`` does: modules with their modes, hooks and attributes.

    Only the result of a recipe that ends with a model has one. Whoever loads the file runs code: it takes
    ``torch.load(path, weights_only=False)``, or ``--allow pickle:PATH`` here, and the classes in it have to be
    importable. Its tensors are read without any of that.
    """

    def check(self, subject: Subject, request: Request) -> tuple[str, ...]:
        if subject.skeleton is None:
            note = "`format: torch` writes the tensors"
            message = "`format: module` writes a model, and the result is a bare state dict"
            raise fail("needs-a-model", message, request.span, (note,))
        if request.keep or request.metadata:
            word = "metadata" if request.metadata else "container: keep"
            raise fail("not-in-this-format", f"a pickled module has no place for `{word}`", request.span)
        _, pickler = _pickled(subject, request)
        names = unusual_names(pickler.names)
        needs = f", and needs {listed(names, 4)} there" if names else ""
        return (f"a pickled module runs code where it is loaded: that takes permission{needs}",)

    def layout(self, subject: Subject, request: Request, embed: Embed) -> Layout:
        content, pickler = _pickled(subject, request)
        record = {MEMBER: request.provenance.encode()} if request.provenance else {}
        archive = archive_of(content, pickler.storages, more=record)
        tensors = place(pickler.storages, list(archive.places), subject)
        file = FileLayout("", archive.end, archive.blocks, tensors, archive.closing)
        return Layout((file,), False, len(subject.entries))


def _pickled(subject: Subject, request: Request) -> tuple[bytes, ModelPickler]:
    """The pickle, and what made it.

    Raises:
        SurgeryError: ``not-in-this-format``: something in the model cannot be pickled.
    """
    from surgery.model.assemble import assemble_hollow

    location = _device_of(subject, request)
    model, exprs = assemble_hollow(subject)
    pickler = ModelPickler(exprs, location)
    try:
        return pickler.pickled(model), pickler
    except SurgeryError:
        raise
    except Exception as error:
        reason = _ADDRESS.sub("", str(error).split("\n")[0]) or type(error).__name__
        note = "`format: torch` writes the state dict"
        if isinstance(error, pickle.PicklingError | AttributeError):
            note = "its classes and functions have to stand in a module: no lambda, none inside a function"
        message = f"the model cannot be pickled: {reason}"
        raise fail("not-in-this-format", message, request.span, (note,), cause=error) from error


def _device_of(subject: Subject, request: Request) -> str:
    """The one device of all tensors.

    Raises:
        SurgeryError: there are several, between which hooks would have to carry what is computed; or it is none.
    """
    devices = sorted({entry.device or "cpu" for entry in subject.entries.values()})
    if len(devices) > 1 or devices in (["meta"], ["disk"]):
        note = "leave out `device_map`: whoever loads the file can place its parts"
        message = f"a model is pickled on one device, and this one is on {listed(devices)}"
        raise fail("not-in-this-format", message, request.span, (note,))
    return devices[0] if devices else "cpu"
