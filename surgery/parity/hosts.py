"""Models that a bare state dict runs in: its tensors stand in their places, under their names or those of files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import Span, fail
from surgery.tensors.subject import Subject
from surgery.wording import listed

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = ["by_its_library", "hosted", "loaded_by_its_library"]


def hosted(subject: Subject, host: Subject) -> Subject:
    """The modules of `host` with the tensors of `subject`, which may have fewer of the names of a tied tensor."""
    names = {name: next((n for n in group if n in subject.entries), name) for group in host.ties() for name in group}
    entries = {
        key: dataclasses.replace(subject.entries[key if key in subject.entries else names[key]], kind=entry.kind)
        for key, entry in host.entries.items()
    }
    return Subject(entries, host.skeleton, rest=subject.rest)


def by_its_library(host: Subject) -> bool:
    """Whether the library of a model loads and saves its state dicts, and so may name tensors otherwise in files."""
    module = host.skeleton.module if host.skeleton is not None else None
    return all(hasattr(module, word) for word in ("from_pretrained", "save_pretrained", "config"))


def loaded_by_its_library(module: Any, tensors: Mapping[str, Tensor], span: Span | None) -> Module:
    """A model of the class and configuration of `module` with these tensors, as its library loads a file.

    Raises:
        SurgeryError: code ``check-failed``; tensors are missing, left over, or of another shape.
    """
    made: Module
    made, info = type(module).from_pretrained(
        None, config=module.config, state_dict=dict(tensors), output_loading_info=True
    )
    wrong = {
        what: [name if isinstance(name, str) else name[0] for name in info.get(f"{what}_keys", ())]
        for what in ("missing", "unexpected", "mismatched")
    }
    notes = [f"{what}: {listed(sorted(names), 6)}" for what, names in wrong.items() if names]
    if notes:
        raise fail("check-failed", f"`{type(module).__name__}` does not load the result as a file", span, notes)
    return made
