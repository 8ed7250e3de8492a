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
    dict holds beside tensors goes with its module, and where `drop` selects it.
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
            chosen = select_keys(self.keep, kept, context)
            kept = _without(kept, kept.entries.keys() - chosen, "is not kept", context)
        rest = kept.rest
        if self.drop is not None:
            extras = extra_keys(kept)
            named = {name: _NO_TENSOR for names in extras.values() for name in names}
            dropped = set(select_keys(self.drop, kept.replace(entries={**kept.entries, **named}), context))
            kept = _without(kept, dropped, "is dropped", context)
            if gone := {old for old, names in extras.items() if names and dropped.issuperset(names)}:
                extra = {old: value for old, value in rest.extra.items() if old not in gone}
                rest = dataclasses.replace(rest, extra=extra)
        return subject.replace(rest=rest).bare(kept.entries)


def _without(subject: Subject, keys: set[str], why: str, context: Context) -> Subject:
    """The subject without `keys`, which are accounted for."""
    for key in subject.entries:
        if key in keys:
            context.drop(subject.entries[key], Touch("filter", f"{key} {why}", context.here))
    return subject.replace(entries={key: entry for key, entry in subject.entries.items() if key not in keys})
