"""Pickled modules, alive: the one place where a file may run code, and only where the caller allowed that very file.

The file is read once, into memory: its digest, what it holds and what it names are told from the same bytes that are
loaded then, so that nobody can exchange them in between.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from surgery.diagnostics import SurgeryError, fail
from surgery.formats.contents import Checkpoint, Trait
from surgery.formats.detect import read_file
from surgery.formats.entries import StateDict, choose
from surgery.formats.file import Snapshot, open_file
from surgery.model.given import subject_of_module
from surgery.places.place import Place
from surgery.planning.context import Context
from surgery.tensors.subject import Subject

__all__ = ["subject_of_pickled"]

#: variables with which torch lets the environment decide how it reads; here the caller has decided
_VARIABLES = ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD")
_ONE_AT_A_TIME = threading.Lock()


def subject_of_pickled(path: Path, where: Place, context: Context) -> Subject:
    """The subject of the pickled module in a file. Its code runs: the caller has allowed that.

    Raises:
        SurgeryError: ``import-failed``, its classes cannot be imported, or do not take what was saved; ``unfit-model``;
            ``wrong-digest`` and ``source-changed``, the file is not what it was; and what reading it raises.
    """
    with open_file(path, where.path) as file:
        content = file.whole("model")
        kept = Snapshot(content, file)
    if where.sha256 is not None and hashlib.sha256(content).hexdigest() != where.sha256:
        raise fail("wrong-digest", f"`{where}` is not the file that the recipe means", where.span)
    found = read_file(kept)
    state = choose(found, where.entry)
    if not state.of_module or found.format == "torchscript":
        raise fail("source-changed", f"`{where}` has no pickled module any more", where.span)
    module = _at(_loaded(content, where), state.entry, where)
    subject = subject_of_module(module, where.path, context)
    return _placed(subject, found, state, where)


def _loaded(content: bytes, where: Place) -> Any:
    """The object of a file of torch, its tensors on the CPU.

    A class that is not there, or has changed since, fails in ways of its own, down to ``sys.exit`` in a module that was
    a script.
    """
    try:
        with _without_variables():
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False, mmap=False)
    except (Exception, SystemExit) as error:
        raise _failed(error, where) from error


@contextmanager
def _without_variables() -> Iterator[None]:
    with _ONE_AT_A_TIME:
        kept = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(kept)


def _failed(error: BaseException, where: Place) -> SurgeryError:
    reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    notes = ["its tensors can be read without its code: `trust: data`"]
    if isinstance(error, ModuleNotFoundError):
        notes.insert(0, f"`{error.name}` has to be where Python looks: `PYTHONPATH=DIRECTORY surgery …`")
    elif isinstance(error, AttributeError | TypeError):
        notes.insert(0, "the code has probably changed since the module was saved")
    message = f"the pickled module in `{where}` cannot be loaded: {reason}"
    return fail("import-failed", message, where.span, notes, cause=error)


def _at(thing: Any, entry: tuple[str, ...], where: Place) -> nn.Module:
    """The module in the object that was loaded: the same names lead to it that lead to its tensors in the file."""
    for name in entry:
        thing = _inside(thing, name)
    if isinstance(thing, nn.Module):
        return thing
    message = f"`{'.'.join(entry) or '.'}` of `{where}` is no module once it is loaded: {type(thing).__name__}"
    raise fail("unfit-model", message, where.span)


def _inside(thing: Any, name: str) -> Any:
    if isinstance(thing, Mapping):
        return next((value for key, value in thing.items() if str(key) == name), None)
    if isinstance(thing, list | tuple):
        return thing[int(name)] if name.isdigit() and int(name) < len(thing) else None
    return getattr(thing, "__dict__", {}).get(name)


def _placed(subject: Subject, found: Checkpoint, state: StateDict, where: Place) -> Subject:
    """The subject with each tensor on the device that `map_location` gives for the one it was saved from."""
    plain = Trait()
    entries = dict(subject.entries)
    for key, entry in subject.entries.items():
        saved = state.tensors.get(key)
        location = found.traits.get(saved, plain).location if saved is not None else plain.location
        entries[key] = dataclasses.replace(entry, device=where.device(location))
    return subject.replace(entries=entries)
