"""The steps of a recipe without the rest of it, for a recipe that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surgery.diagnostics import SurgeryError
from surgery.document import MapNode
from surgery.fields import Declared, Reader
from surgery.params import Param
from surgery.params.declare import with_their_origins
from surgery.recipe import Recipe
from surgery.steps.sequence import PlacedStep, steps

__all__ = ["bound_steps", "step_params"]


def bound_steps(recipe: Recipe, values: Mapping[str, Any], directory: Path) -> tuple[PlacedStep, ...]:
    """The steps, with `values` for the parameters that they name; no other parameter needs a value.

    Args:
        recipe: whose steps they are.
        values: what another recipe passes, by name.
        directory: what relative paths in the values are relative to.

    Raises:
        SurgeryError: values that are missing, unknown or unfit.
    """
    declared = recipe.values_of(step_params(recipe), values, directory, by_recipe=True)
    reader = Reader(declared, is_foreign=recipe.is_foreign)
    found = _read(recipe, reader)
    if reader.diagnostics:
        raise SurgeryError(reader.diagnostics)
    return found


def step_params(recipe: Recipe) -> dict[str, Param]:
    """The parameters that the steps name, and those that their defaults are made of, in the order of the recipe."""
    reader = Reader({name: Declared(name) for name in recipe.params})
    _read(recipe, reader)
    return with_their_origins(reader.used, recipe.params)


def _read(recipe: Recipe, reader: Reader) -> tuple[PlacedStep, ...]:
    node = recipe.document.get("steps") if isinstance(recipe.document, MapNode) else recipe.document
    return steps.read(node, reader) if node is not None else ()
