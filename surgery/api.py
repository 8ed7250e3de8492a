"""Recipes from Python: read, planned, run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from surgery.diagnostics import fail
from surgery.limits import limited
from surgery.locking.pins import pins_of
from surgery.plan import Plan
from surgery.recipe import Recipe
from surgery.result import Result
from surgery.sinks.base import Output

if TYPE_CHECKING:
    pass

__all__ = ["Wanted", "load", "plan_recipe", "run"]


def load(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | list[Any], *, limits: Mapping[str, Any] | None = None
) -> Recipe:
    """Read a recipe: a file, the name of a shipped one, or plain data: a mapping, or the list of its steps.

    Everything that can be said against it without parameters and checkpoints is said now, all at once.

    Args:
        recipe: the file, the name, or the data.
        limits: limits that are raised while it is read: ``{"recipe": "5MB"}``; see `surgery.limits`.

    Raises:
        SurgeryError: the file is not there, or the recipe is wrong.

    >>> load({"steps": [{"rename": "module.** -> **"}]}).steps[0].name
    'rename'
    >>> len(load([{"rename": "module.** -> **"}, {"mode": "eval"}]).steps)
    2
    """
    with limited(limits or {}):
        if isinstance(recipe, Mapping | list):
            return Recipe.of_data(recipe)
        return Recipe.read(recipe)


def run(recipe: str | os.PathLike[str] | Mapping[str, Any], **options: Any) -> Result:
    """``load(recipe).run(**options)``; see `Recipe.run`."""
    return load(recipe, limits=options.get("limits")).run(**options)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants of the outputs of a recipe.

    Attributes:
        path: where the result goes, in the place of what the recipe says.
        overwrite: whether what is there may be replaced.
        provenance: whether the outputs say what made them; a recipe may leave that out by itself.
    """

    path: str | os.PathLike[str] | None = None
    overwrite: bool = False
    provenance: bool = True

    def of(self, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
        """The outputs of a recipe with the caller's word on them."""
        if self.path is not None:
            outputs = (self._elsewhere(outputs[0] if len(outputs) == 1 else Output("")),)
        return tuple(
            dataclasses.replace(
                output,
                overwrite=output.overwrite or self.overwrite,
                provenance=output.provenance and self.provenance,
            )
            for output in outputs
        )

    def _elsewhere(self, output: Output) -> Output:
        assert self.path is not None
        # a format was chosen for the path in the recipe; another path speaks for itself
        keeps = Path(output.path).suffix == Path(self.path).suffix
        path, form = os.fspath(self.path), output.format if keeps else None
        return dataclasses.replace(output, path=path, base=os.getcwd(), span=None, format=form)


def plan_recipe(
    recipe: Recipe,
    values: Mapping[str, Any],
    objects: Mapping[str, Any],
    wanted: Wanted,
    *,
    allow: Iterable[str],
    lock: Literal["use", "strict", "ignore"],
) -> Plan:
    """The plan of a recipe with values for its parameters, and objects from Python by name; see `Recipe.plan`."""
    from surgery.planner import make_plan

    _refuse_swapped(objects)
    bound = recipe.bind(values, Path.cwd())
    # what a recipe from elsewhere says of overwriting is not its caller's word
    own = [dataclasses.replace(o, overwrite=False) for o in bound.outputs] if recipe.is_foreign else bound.outputs
    outputs = wanted.of(tuple(own))
    pins = None if lock == "ignore" else pins_of(recipe.directory, strict=lock == "strict")
    return make_plan(recipe, bound, allow=allow, given=objects, outputs=outputs, overwrite=wanted.overwrite, pins=pins)


def _refuse_swapped(objects: Mapping[str, Any]) -> None:
    """A dict as `model`, a module as `state_dict`: an honest mistake."""
    if isinstance(objects.get("model"), Mapping):
        raise fail("not-given", "`model` is a state dict", notes=("pass it as `state_dict=`",))
    if "state_dict" in objects and not isinstance(objects["state_dict"], Mapping):
        raise fail("not-given", "`state_dict` is no mapping", notes=("a module is passed as `model=`",))
