"""Entries of a state dict that are no tensors: ``_extra_state`` of modules, and what else somebody put there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from surgery.formats.contents import Rest
from surgery.formats.following import extra_keys
from surgery.tensors.subject import Entry, Subject

__all__ = ["Extras"]

_EXTRA_STATE = "_extra_state"


class Extras:
    """The entries of a checkpoint that are no tensors, and whether the subject has a place for them.

    A model has one for the ``_extra_state`` of each of its modules; a bare state dict, for what it holds already.

    Attributes:
        placed: key (without `into`) -> value, for those that have a place.
        homeless: the keys of the others.
        lacking: the keys of a bare state dict that the checkpoint does not have.
    """

    def __init__(self, subject: Subject, loaded: Mapping[str, Entry], rest: Any, into: str) -> None:
        self._subject, self._rest, self._into = subject, rest, into
        prefix = f"{into}." if into else ""
        own: Mapping[str, Any] = getattr(subject.rest, "extra", {}) if subject.skeleton is None else {}
        self._names = extra_keys(Subject(loaded, rest=rest))
        found = {new: rest.extra[old] for old, names in self._names.items() for new in names}
        self.placed = {key: value for key, value in found.items() if prefix + key in own or self._module(prefix + key)}
        self.homeless = [key for key in found if key not in self.placed]
        self.lacking = [key[len(prefix) :] for key in own if key.startswith(prefix) and key[len(prefix) :] not in found]

    def _module(self, key: str) -> bool:
        path, _, name = key.rpartition(".")
        skeleton = self._subject.skeleton
        return skeleton is not None and name == _EXTRA_STATE and skeleton.is_a(path, ("Module",))

    def joined(self) -> tuple[Any, bool]:
        """What else the subject holds after the load, and whether what else the checkpoint held is lost by it.

        A subject with nothing else takes over what the checkpoint held, unless only a part of it was loaded.
        """
        own, other = self._subject.rest, self._rest
        prefix = f"{self._into}." if self._into else ""
        placed = {prefix + key: value for key, value in self.placed.items()}
        if own is None and other is not None and not self._into:
            # as the file names them: where they belong follows from the tensors (`surgery.formats.following`)
            kept = {old: other.extra[old] for old, names in self._names.items() if any(n in self.placed for n in names)}
            return dataclasses.replace(other, extra=kept), False
        lost = other is not None and bool(other.entry)
        if own is None:
            return (Rest({}, extra=placed) if placed else None), lost
        return dataclasses.replace(own, extra={**own.extra, **placed}), lost
