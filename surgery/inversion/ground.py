"""What an inverse is proved on: the keys of a checkpoint that the caller names, or of the recipe's own source."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from surgery.diagnostics import SurgeryError, fail
from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.inclusion import surroundings
from surgery.opening import open_sources
from surgery.permissions import permissions
from surgery.places import Place
from surgery.planning.context import Context
from surgery.recipe import Bound, Recipe
from surgery.sources.checkpoint import CheckpointSource
from surgery.sources.given import Given
from surgery.sources.recipe import RecipeSource
from surgery.steps.load import Load
from surgery.steps.sequence import PlacedStep

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "Ground", "ground_of", "own_ground", "source_parameter"]

#: a file, or a state dict
Checkpoint: TypeAlias = "str | os.PathLike[str] | Mapping[str, Tensor]"

_WHOLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
#: what keeps a recipe's own source from being looked at, and is no mistake
_NOT_AT_HAND = ("no-file", "not-allowed", "not-given", "parameter-value", "parameter-file", "download")


@dataclass(frozen=True, slots=True)
class Ground:
    """A recipe bound to a source.

    Attributes:
        bound: the recipe with its parameters bound.
        context: the surroundings of its plan.
    """

    bound: Bound
    context: Context

    @property
    def loads(self) -> bool:
        """Whether the tensors come by a `load` into a model that is built for them."""
        return _loads(self.bound)


def ground_of(
    recipe: Recipe,
    checkpoint: Checkpoint | None,
    *,
    params: Mapping[str, Any],
    allow: Iterable[str],
) -> Ground:
    """A recipe on a checkpoint, or on its own source.

    Raises:
        SurgeryError: values that are missing or wrong; several sources, where a checkpoint is given for them.
    """
    values = dict(params)
    name = source_parameter(recipe)
    is_path = isinstance(checkpoint, str | os.PathLike)
    if is_path and name and name not in values:
        values[name] = os.fspath(checkpoint)  # type: ignore[arg-type]
    bound = recipe.bind(values, Path.cwd())
    context = surroundings(recipe, seed=bound.seed, allow=permissions(allow))
    if checkpoint is not None:
        if bound.sources:
            note = "`-p` gives each of them its path"
            raise fail("usage", "the recipe has several sources, and one checkpoint is given", notes=(note,))
        if not is_path:
            context.given = {"state_dict": checkpoint}
            bound = _from(bound, Given("state_dict"))
        elif not name or name in params:
            place = Place(os.fspath(checkpoint), base=os.getcwd())  # type: ignore[arg-type]
            bound = _from(bound, CheckpointSource(place))
    return Ground(bound, context)


def own_ground(recipe: Recipe, *, params: Mapping[str, Any], allow: Iterable[str]) -> Ground | None:
    """A recipe on its own source; None where that is not at hand, and the caller asked for nothing else.

    Raises:
        SurgeryError: the source is there, and wrong.
    """
    try:
        ground = ground_of(recipe, None, params=params, allow=allow)
        if not ground.bound.sources and ground.bound.source is None:
            return None
        probe = dataclasses.replace(ground.context, inventory={}, files={}, opened=[], diagnostics=[])
        if ground.loads:
            _first_load(ground.bound.steps).from_.open(probe)
        else:
            open_sources(ground.bound, probe)
        return ground
    except SurgeryError as error:
        if params or any(d.code not in _NOT_AT_HAND for d in error.diagnostics):
            raise
        return None


def _loads(bound: Bound) -> bool:
    built = bound.source is not None and not isinstance(bound.source, CheckpointSource | Given | RecipeSource)
    return built and any(isinstance(one.step, Load) for one in bound.steps)


def _first_load(steps: Iterable[PlacedStep]) -> Load:
    return next(one.step for one in steps if isinstance(one.step, Load))


def _from(bound: Bound, source: CheckpointSource | Given) -> Bound:
    """The recipe with its checkpoint in another place; how that is read stays as the recipe says."""
    if not _loads(bound):
        return dataclasses.replace(bound, source=_there(bound.source, source))
    first = _first_load(bound.steps)
    steps = tuple(
        dataclasses.replace(one, step=dataclasses.replace(first, from_=_there(first.from_, source)))
        if one.step is first
        else one
        for one in bound.steps
    )
    return dataclasses.replace(bound, steps=steps)


def _there(old: Any, new: CheckpointSource | Given) -> CheckpointSource | Given:
    if isinstance(old, CheckpointSource) and isinstance(new, CheckpointSource):
        place = dataclasses.replace(old.checkpoint, path=new.checkpoint.path, base=new.checkpoint.base, sha256=None)
        return CheckpointSource(place)
    return new


def source_parameter(recipe: Recipe) -> str | None:
    """The parameter that is the path of the recipe's checkpoint; None where it is written otherwise."""
    if not isinstance(recipe.document, MapNode):
        return None
    node, steps = recipe.document.get("source"), recipe.document.get("steps")
    place = _place(node)
    if place is None and node is not None and isinstance(steps, ListNode):
        loads = (item.get("load") for item in steps.items if isinstance(item, MapNode))
        place = next((_place(load.get("from")) for load in loads if isinstance(load, MapNode)), None)
    whole = _WHOLE.fullmatch(place.value) if place is not None and isinstance(place.value, str) else None
    return (whole[1] or whole[2]) if whole else None


def _place(node: Node | None) -> Scalar | None:
    """The path in a source that is a checkpoint."""
    if isinstance(node, MapNode):
        node = node.get("checkpoint")
        node = node.get("path") if isinstance(node, MapNode) else node
    return node if isinstance(node, Scalar) else None
