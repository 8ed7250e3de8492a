"""``unfreeze``: parameters that are trained again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import main, selection
from surgery.lang import Selection
from surgery.planning.context import Context
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.steps.freeze import set_trained
from surgery.tensors.subject import Subject

__all__ = ["Unfreeze"]


@STEPS.register("unfreeze")
@dataclass(frozen=True, slots=True)
class Unfreeze(Step):
    """Make parameters change in training: `requires_grad` becomes True. The counterpart of `freeze`."""

    example: ClassVar[str] = 'unfreeze: "layer4 | fc"'
    keeps_tensors: ClassVar[bool] = True

    select: Selection = main(selection, help="the parameters")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with trained parameters."""
        return set_trained("unfreeze", self.select, subject, context, trained=True)
