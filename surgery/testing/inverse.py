"""``inverse``: the inverse of a recipe gives back, bit for bit, what the recipe was made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.inclusion import surroundings
from surgery.opening import open_sources
from surgery.planner import make_plan
from surgery.recipe import Bound, Recipe
from surgery.sources.checkpoint import CheckpointSource
from surgery.sources.given import Given
from surgery.steps.load import Load
from surgery.testing.sourceless import sourceless
from surgery.wording import listed

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_inverse"]


def check_inverse(
    recipe: Recipe,
    bound: Bound,
    result: Mapping[str, Tensor],
    given: Mapping[str, Any],
    allow: frozenset[str],
    span: Span | None,
    *,
    partial: bool,
) -> None:
    """Invert a recipe, run the inverse on its result, and compare with its source.

    Args:
        recipe: the recipe, in the directory of the case.
        bound: the same with its parameters bound.
        result: what it made.
        given: the objects that it was given.
        allow: permissions of the caller.
        span: the place of the expectation.
        partial: whether tensors that the recipe leaves behind are forgotten.

    Raises:
        SurgeryError: ``no-inverse``, with the rules that have none; ``test-failed``, where a tensor does not come back.
    """
    source = _tensors_of(recipe, bound, given, allow)
    # what the recipe opens itself it opens again; objects that were given are not at hand there
    ground = source if given else None
    if partial and _gives_all_back(recipe, ground, bound.values, allow):
        raise fail("test-failed", "nothing is left behind, so that the whole recipe has an inverse", span, ("`true`",))
    inverse = sourceless(recipe.invert(ground, params=bound.values, allow=allow, partial=partial), ())
    values = {name: value for name, value in bound.values.items() if name in inverse.params}
    back = dataclasses.replace(inverse.bind(values), source=Given("result"), outputs=())
    restored = make_plan(inverse, back, allow=allow, given={"result": result}).execute().state_dict
    _compare(source, restored, span, partial=partial)


def _compare(source: Mapping[str, Tensor], restored: Mapping[str, Tensor], span: Span | None, *, partial: bool) -> None:
    lost = [] if partial else [key for key in source if key not in restored]
    new = [key for key in restored if key not in source]
    other = [key for key, tensor in restored.items() if key in source and not _same(tensor, source[key])]
    found = {"not given back": lost, "not there before": new, "with other values": other}
    notes = [f"{what}: {listed(keys, 6)}" for what, keys in found.items() if keys]
    if notes:
        raise fail("test-failed", "the inverse does not give back what the recipe was made from", span, notes)


def _gives_all_back(
    recipe: Recipe, source: Mapping[str, Tensor] | None, params: Mapping[str, Any], allow: frozenset[str]
) -> bool:
    """Whether a recipe has an inverse, and not just for the tensors that it keeps."""
    try:
        recipe.invert(source, params=params, allow=allow)
    except SurgeryError:
        return False
    return True


def _tensors_of(recipe: Recipe, bound: Bound, given: Mapping[str, Any], allow: frozenset[str]) -> dict[str, Tensor]:
    """The tensors that the inverse is to give back: of the checkpoint that a model loads, or of the source."""
    from surgery.engine.evaluate import materialise

    context = surroundings(recipe, seed=bound.seed, allow=allow, given=given)
    load = next((placed.step for placed in bound.steps if isinstance(placed.step, Load)), None)
    if load is not None and not isinstance(bound.source, CheckpointSource):
        return materialise(load.from_.open(context).entries)
    return materialise(open_sources(bound, context).entries)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same, bit for bit."""
    import torch

    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    flat = [tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return torch.equal(*flat)
