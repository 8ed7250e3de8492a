"""Recipes from Python: read, planned, run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
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
    from torch import Tensor
    from torch.nn import Module

__all__ = ["load", "plan_recipe", "run"]

_RESERVED = ("model", "state_dict")


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


def plan_recipe(
    recipe: Recipe,
    *,
    params: Mapping[str, Any] | None,
    allow: Iterable[str],
    model: Module | None,
    state_dict: Mapping[str, Tensor] | None,
    given: Mapping[str, Any] | None,
    output: str | os.PathLike[str] | None,
    overwrite: bool,
    provenance: bool,
    lock: Literal["use", "strict", "ignore"],
    named: Mapping[str, Any],
) -> Plan:
    """The plan of a recipe with its parameters and objects from Python; see `Recipe.plan`."""
    from surgery.planner import make_plan

    # a recipe may call its own parameters `model` or `state_dict`: then these words are the parameters
    objects = {"model": model, "state_dict": state_dict}
    values = {**(params or {}), **named}
    values |= {name: objects.pop(name) for name in _RESERVED if name in recipe.params and objects[name] is not None}
    objects = {name: thing for name, thing in objects.items() if thing is not None} | dict(given or {})
    _refuse_swapped(objects)
    bound = recipe.bind(values, Path.cwd())
    # what a recipe from elsewhere says of overwriting is not its caller's word
    own = [dataclasses.replace(o, overwrite=False) for o in bound.outputs] if recipe.is_foreign else bound.outputs
    outputs = _outputs(tuple(own), output, overwrite=overwrite, provenance=provenance)
    pins = None if lock == "ignore" else pins_of(recipe.directory, strict=lock == "strict")
    return make_plan(recipe, bound, allow=allow, given=objects, outputs=outputs, overwrite=overwrite, pins=pins)


def _refuse_swapped(objects: Mapping[str, Any]) -> None:
    """A dict as `model`, a module as `state_dict`: an honest mistake."""
    if isinstance(objects.get("model"), Mapping):
        raise fail("not-given", "`model` is a state dict", notes=("pass it as `state_dict=`",))
    if "state_dict" in objects and not isinstance(objects["state_dict"], Mapping):
        raise fail("not-given", "`state_dict` is no mapping", notes=("a module is passed as `model=`",))


def _outputs(
    outputs: tuple[Output, ...], path: str | os.PathLike[str] | None, *, overwrite: bool, provenance: bool
) -> tuple[Output, ...] | None:
    """The outputs with the caller's word on them: another path, leave to overwrite, no record."""
    if path is not None:
        first = outputs[0] if len(outputs) == 1 else Output("")
        # a format was chosen for the path in the recipe; another path speaks for itself
        keeps = Path(first.path).suffix == Path(path).suffix
        outputs = (
            dataclasses.replace(
                first, path=os.fspath(path), base=os.getcwd(), span=None, format=first.format if keeps else None
            ),
        )
    return tuple(
        dataclasses.replace(
            output, overwrite=output.overwrite or overwrite, provenance=output.provenance and provenance
        )
        for output in outputs
    )
