"""Recipes of a command line, read and planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from surgery.cli.session import session

if TYPE_CHECKING:
    from surgery.plan import Plan
    from surgery.recipe import Recipe

__all__ = ["load_recipe", "plan_of"]


def load_recipe(name: str) -> Recipe:
    """A recipe by its file or name; what is worth a look in it goes to stderr.

    Raises:
        SurgeryError: it is not there, or wrong.
    """
    from surgery.api import load

    recipe = load(name)
    if not session().json:
        session().complain(recipe.warnings)
    return recipe


def plan_of(
    name: str,
    params: Mapping[str, Any],
    *,
    allow: Iterable[str] = (),
    output: str | None = None,
    overwrite: bool = False,
    provenance: bool = True,
    lock: Literal["use", "strict", "ignore"] = "use",
) -> Plan:
    """The plan of a recipe.

    Raises:
        SurgeryError: everything that is wrong in the recipe or with what it is applied to.
    """
    return load_recipe(name).plan(
        params=params, allow=allow, output=output, overwrite=overwrite, provenance=provenance, lock=lock
    )
