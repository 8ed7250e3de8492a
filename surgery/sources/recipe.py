"""``recipe``: the result of another recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import fail
from surgery.fields import main, option
from surgery.planning.context import Context
from surgery.references.kind import Named, Passed, passed, reference
from surgery.sources import SOURCES
from surgery.sources.base import Source
from surgery.tensors.subject import Subject

__all__ = ["RecipeSource"]


@SOURCES.register("recipe")
@dataclass(frozen=True, slots=True)
class RecipeSource(Source):
    """The result of another recipe: its source with its steps done, as it would be by itself, its seed included.

    What it expects is checked; what it would write is not written. A path is relative to this recipe. The accounts go
    through to the tensors that the other recipe began with.
    """

    example: ClassVar[str] = "{recipe: backbone.yaml, params: {checkpoint: moco.pth}}"

    recipe: Named = main(reference, help="a path, or another reference to a recipe")
    params: tuple[tuple[str, Passed], ...] = option(passed, default=(), help="values for its parameters")

    def open(self, context: Context) -> Subject:
        """The subject of its result, no tensor data read."""
        if context.recipes is None:
            raise fail("source", f"`{self.recipe}`: a recipe is no source here", self.recipe.span)
        return context.recipes.result(self.recipe, dict(self.params), context)

    def describe(self) -> str:
        """``recipe backbone.yaml``."""
        return f"recipe {self.recipe}"
