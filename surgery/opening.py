"""The subject that a recipe begins with: one source, several side by side, or what the caller gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from surgery.diagnostics import SurgeryError, fail
from surgery.planning.context import Context, Drop
from surgery.sources.base import Source
from surgery.sources.given import Given
from surgery.tensors.subject import Entry, Origin, Subject
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.recipe import Bound

__all__ = ["check_given", "open_sources"]


def open_sources(bound: Bound, context: Context) -> Subject:
    """The subject that the steps begin with.

    Raises:
        SurgeryError: a source cannot be opened, or none is named and none (or more than one) given.
    """
    if bound.sources:
        return _open_together(bound.sources, context)
    return (bound.source or _given(context)).open(context)


def check_given(bound: Bound, context: Context) -> None:
    """Report what the caller gave and nothing in the recipe used."""
    unused = [name for name in context.given if name not in context.taken]
    if unused:
        own = bound.source is not None or bool(bound.sources)
        has = ", which has a source of its own," if own else ""
        note = "`{given: " + unused[0] + "}` in a recipe is the object: as a `source`, in `load`, `like` or `parity`"
        context.report("not-given", f"{listed(unused)} is given, and the recipe{has} does not use it", notes=(note,))


def _given(context: Context) -> Source:
    """The model that is given, else the state dict, else the only thing."""
    if not context.given:
        note = "`source: {torchvision: …}` or `source: {checkpoint: …}`; from Python, `model=` or `state_dict=`"
        raise fail("not-given", "the recipe has no source, and nothing is given", notes=(note,))
    name = next((name for name in ("model", "state_dict") if name in context.given), None)
    if name is None and len(context.given) > 1:
        note = "`source: {given: …}` says which of them the recipe operates on"
        raise fail("not-given", "the recipe has no source, and several objects are given", notes=(note,))
    return Given(name or next(iter(context.given)))


def _open_together(sources: Mapping[str, Source], context: Context) -> Subject:
    """Several sources in one bare state dict, each below its own name."""
    entries: dict[str, Entry] = {}
    wrong: list[SurgeryError] = []
    for name, source in sources.items():
        apart = dataclasses.replace(context, inventory={}, drops=[])
        try:
            subject = source.open(apart)
        except SurgeryError as error:
            wrong.append(error)
            continue
        within = _Within(name, apart)
        context.inventory.update({within.origin(origin): spec for origin, spec in apart.inventory.items()})
        context.drops.extend(
            Drop(tuple(map(within.origin, drop.origins)), drop.touch, within.entry(drop.entry)) for drop in apart.drops
        )
        entries |= {f"{name}.{key}": within.entry(entry) for key, entry in subject.entries.items()}
    if wrong:
        raise SurgeryError(d for error in wrong for d in error.diagnostics)
    return Subject(entries)


class _Within:
    """What the accounts call the tensors of one of several sources: its name stands for the place that it is."""

    def __init__(self, name: str, opened: Context) -> None:
        places = {origin.source for origin in opened.inventory}
        # the result of a recipe may come from several places
        self._names = {place: name if len(places) == 1 else f"{name}: {place}" for place in places}

    def origin(self, origin: Origin) -> Origin:
        return Origin(self._names[origin.source], origin.key)

    def entry(self, entry: Entry) -> Entry:
        return dataclasses.replace(entry, origins=tuple(map(self.origin, entry.origins)))
