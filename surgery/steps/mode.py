"""``mode``: training or evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import main, one_of
from surgery.planning.context import Context
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Subject

__all__ = ["Mode"]


@STEPS.register("mode")
@dataclass(frozen=True, slots=True)
class Mode(Step):
    """Put the whole model into evaluation or training mode, as ``model.eval()`` and ``model.train()`` do."""

    example: ClassVar[str] = "mode: eval"
    needs_model: ClassVar[bool] = True
    keeps_tensors: ClassVar[bool] = True

    mode: str = main(one_of("eval", "train"))

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The model in that mode."""
        assert subject.skeleton is not None
        edited = subject.skeleton.edited()
        edited.module.train(self.mode == "train")
        return subject.replace(skeleton=edited)
