"""``load``: the tensors of a checkpoint into the subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import key, option, selection
from surgery.fields.declare import REQUIRED
from surgery.lang import Selection
from surgery.planning.context import Context
from surgery.planning.loading import load_into
from surgery.sources.base import Source
from surgery.sources.kind import source
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.steps.sequence import PlacedStep, apply_steps, steps
from surgery.tensors.subject import Subject

__all__ = ["Load"]


@STEPS.register("load")
@dataclass(frozen=True, slots=True)
class Load(Step):
    """Bring the tensors of a checkpoint into the subject, a model or a bare state dict.

    It is strict in both directions: what is missing from the checkpoint, left over in it, or of another shape is an
    error unless `missing`, `unexpected` or `mismatched` names it, and what they name must happen. Selectors see the
    keys as they are after the `steps` of the load. A cast that loses nothing is made and remarked; any other is an
    error. Tied tensors stay tied, and one of their names is enough.
    """

    example: ClassVar[str] = 'load: {from: {checkpoint: moco.pth}, steps: [{rename: "module.** -> **"}], missing: fc}'

    habits: ClassVar[Mapping[str, str]] = {
        "strict": "loading is strict; what may differ is named: `missing: fc`, `unexpected: head`, `mismatched: fc`",
        "checkpoint": "`from: {checkpoint: …}`",
    }

    from_: Source = option(source, default=REQUIRED, help="where the tensors come from")
    steps: tuple[PlacedStep, ...] = option(steps, default=(), help="what is done to them first")
    into: str | None = option(key, help="the path of the module that they are for; the whole subject if left out")
    missing: Selection | None = option(selection, help="what may be missing from the checkpoint, and stays as it was")
    unexpected: Selection | None = option(selection, help="what may be left over in the checkpoint")
    mismatched: Selection | None = option(selection, help="what may have another shape, and stays as it was")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with the tensors of the checkpoint in the place of its own."""
        return self.bring(subject, apply_steps(self.steps, self.from_.open(context), context), context)

    def bring(self, subject: Subject, loaded: Subject, context: Context) -> Subject:
        """The subject with the tensors of `loaded`, the steps of the load already done, in the place of its own."""
        return load_into(
            subject,
            loaded.entries,
            context,
            missing=self.missing,
            unexpected=self.unexpected,
            mismatched=self.mismatched,
            into=self.into or "",
            rest=loaded.rest,
        )
