"""``filter``: some tensors stay, the others go."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import option, selection
from surgery.formats.following import extra_keys
from surgery.lang import Selection
from surgery.planning.context import Context
from surgery.planning.selecting import select_keys
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Filter"]

#: what stands for an entry that is no tensor while keys are selected
_NO_TENSOR = Entry(Stored(Spec((0,), DTYPES["uint8"]), ()), ())


@STEPS.register("filter")
@dataclass(frozen=True, slots=True)
class Filter(Step):
    """Keep what `keep` selects, then drop what `drop` selects of that.

    Either may be left out. Only the tensors that stay are ever read. A model becomes a bare state dict. What a state
    dict holds beside tensors goes with its module, where `keep` does not select it, and where `drop` does.
    """

    example: ClassVar[str] = "filter: {keep: module.encoder_q, drop: module.encoder_q.fc}"

    keep: Selection | None = option(selection, help="what stays; everything if left out")
    drop: Selection | None = option(selection, help="what goes, of that")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject without the tensors that go."""
        if self.keep is None and self.drop is None:
            context.report("missing-word", "`filter` wants `keep`, `drop` or both")
            return subject
        kept = subject
        if self.keep is not None:
            everything = _with_extras(kept)
            chosen = select_keys(self.keep, everything, context)
            kept = _without(kept, everything.entries.keys() - chosen, "is not kept", context)
        if self.drop is not None:
            kept = _without(kept, set(select_keys(self.drop, _with_extras(kept), context)), "is dropped", context)
        return subject.replace(rest=kept.rest).bare(kept.entries)


def _with_extras(subject: Subject) -> Subject:
    """The subject with entries that stand for those of its state dict that are no tensors."""
    named = {name: _NO_TENSOR for names in extra_keys(subject).values() for name in names}
    return subject.replace(entries={**subject.entries, **named})


def _without(subject: Subject, keys: set[str], why: str, context: Context) -> Subject:
    """The subject without `keys`, tensors or not; the tensors are accounted for."""
    for key in subject.entries:
        if key in keys:
            context.drop(subject.entries[key], Touch("filter", f"{key} {why}", context.here))
    rest = subject.rest
    if gone := {old for old, names in extra_keys(subject).items() if names and keys.issuperset(names)}:
        rest = dataclasses.replace(rest, extra={old: value for old, value in rest.extra.items() if old not in gone})
    entries = {key: entry for key, entry in subject.entries.items() if key not in keys}
    return subject.replace(entries=entries, rest=rest)
