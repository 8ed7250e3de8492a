"""``use``: the steps of another recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.fields import main, option
from surgery.planning.context import Context
from surgery.references.kind import Named, Passed, passed, reference
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Subject

__all__ = ["Use"]


@STEPS.register("use")
@dataclass(frozen=True, slots=True)
class Use(Step):
    """Do the steps of another recipe here, as if they stood in this one.

    Of the other recipe nothing counts but its steps and the parameters that they name: not its source, its output, its
    seed or what it expects. `params` gives values to those parameters. A path is relative to this recipe, and paths in
    the other recipe are relative to that.
    """

    example: ClassVar[str] = "use: {recipe: head.yaml, params: {classes: 10}}"

    recipe: Named = main(reference, help="a path, or another reference to a recipe")
    params: tuple[tuple[str, Passed], ...] = option(passed, default=(), help="values for its parameters")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject after those steps."""
        assert context.recipes is not None, "recipes are read by a plan"
        return context.recipes.applied(self.recipe, dict(self.params), subject, context)
