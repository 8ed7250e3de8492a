"""The subject that a recipe begins with: one source, several side by side, or what the caller gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from surgery.diagnostics import SurgeryError, fail
from surgery.planning.context import Context, Drop
from surgery.sources.base import Source
from surgery.sources.given import Given
from surgery.steps.load import Load
from surgery.tensors.subject import Entry, Origin, Subject
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.recipe import Bound

__all__ = ["open_sources"]


def open_sources(bound: Bound, context: Context) -> Subject:
    """The subject that the steps begin with.

    Raises:
        SurgeryError: a source cannot be opened, or none is named and none (or more than one) given.
    """
    if bound.sources:
        return _open_together(bound.sources, context)
    source = bound.source or _given(context)
    if bound.source is not None and context.given and not _uses_given(bound):
        raise fail("not-given", f"the recipe has a source of its own, and {listed(context.given)} is given too")
    return source.open(context)


def _uses_given(bound: Bound) -> bool:
    """Whether the recipe names given objects itself, so that they need not be its source."""
    sources = [bound.source, *(p.step.from_ for p in bound.steps if isinstance(p.step, Load))]
    return any(isinstance(source, Given) for source in sources)


def _given(context: Context) -> Source:
    if len(context.given) == 1:
        return Given(next(iter(context.given)))
    if not context.given:
        note = "`source: {torchvision: …}` or `source: {checkpoint: …}`; from Python, `model=` or `state_dict=`"
        raise fail("not-given", "the recipe has no source, and nothing is given", notes=(note,))
    raise fail("not-given", "the recipe has no source, and several objects are given")


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
