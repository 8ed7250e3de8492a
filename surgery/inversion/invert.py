"""From a recipe to its inverse."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.inversion.ground import Checkpoint, Ground, ground_of, own_ground
from surgery.inversion.others import lost_tensors
from surgery.inversion.pieces import Piece
from surgery.inversion.proof import proved
from surgery.inversion.stage_inverse import stage_inverse
from surgery.inversion.stages import Stage, needed, only_what_stays, stages_of
from surgery.inversion.writing import beside, recipe_text, step_nodes
from surgery.opening import open_sources
from surgery.planning.context import Context
from surgery.recipe import Recipe
from surgery.steps.sequence import apply_steps
from surgery.tensors.subject import Subject

__all__ = ["invert_recipe"]


def invert_recipe(
    recipe: Recipe,
    checkpoint: Checkpoint | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    allow: Iterable[str] = (),
    partial: bool = False,
) -> Recipe:
    """The recipe that takes back what a recipe does; what there is to say of it is among its warnings.

    It is proved on the keys of `checkpoint`, or of the recipe's own source where that is at hand; without keys it is
    given only where the rules themselves are proof.

    Args:
        recipe: the recipe.
        checkpoint: a file, or a state dict, that it is for.
        params: values of its parameters.
        allow: permissions of the caller.
        partial: whether tensors that the recipe leaves behind are forgotten.

    Raises:
        SurgeryError: code ``no-inverse``, with every rule that has no inverse; or what else is wrong.
    """
    given = dict(params or {})
    if checkpoint is None:
        ground = own_ground(recipe, params=given, allow=allow)
    else:
        ground = ground_of(recipe, checkpoint, params=given, allow=allow)
    return _written(recipe, *proved(recipe, partial=partial)) if ground is None else _on_keys(recipe, ground, partial)


def _on_keys(recipe: Recipe, ground: Ground, partial: bool) -> Recipe:
    """The inverse that is proved on the keys of a checkpoint."""
    subject = open_sources(ground.bound, ground.context)
    stages = stages_of(ground.bound.steps, recipe.steps, subject, ground.context, loads=ground.loads)
    lost = [] if partial else [stage.lost(keys) for stage, keys in zip(stages, needed(stages), strict=True)]
    said = [lost_tensors(stage, keys) for stage, keys in zip(stages, lost, strict=False) if keys]
    # where something is lost, what else has no inverse is said as well, but not what follows from the loss
    whole = [stage for stage in stages if not stage.lost(stage.before.entries)]
    stages = whole if said else only_what_stays(stages)
    pieces, more = _inverted(recipe, ground, stages)
    said = sorted([*said, *more], key=_place)
    inverse = _written(recipe, pieces, said)
    if stages:
        _check_whole(inverse, ground, stages)
    return inverse


def _inverted(recipe: Recipe, ground: Ground, stages: Sequence[Stage]) -> tuple[list[Piece], list[Diagnostic]]:
    """The steps of the inverse, and what there is to say."""
    pieces: list[Piece] = []
    said: list[Diagnostic] = []
    nodes = step_nodes(recipe.document)
    for stage in reversed(stages):
        found, more = stage_inverse(stage, ground.bound.values)
        words = beside(nodes, stage.step.span)
        pieces += [_beside(piece, words, first=number == 0) for number, piece in enumerate(found)]
        said += more
    return pieces, said


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    return (diagnostic.span.line, diagnostic.span.column) if diagnostic.span else (0, 0)


def _beside(piece: Piece, words: Mapping[str, Any], *, first: bool) -> Piece:
    """A step with the words that stand beside the one that it takes back; a note is said once."""
    return dataclasses.replace(piece, beside={word: words[word] for word in words if first or word != "note"})


def _raise_errors(said: Sequence[Diagnostic]) -> None:
    errors = [one for one in said if one.severity == "error"]
    if errors:
        raise SurgeryError(errors)


def _written(
    recipe: Recipe, pieces: Sequence[Piece], said: Sequence[Diagnostic], conditions: Sequence[str] = ()
) -> Recipe:
    """The inverse, read from its text."""
    _raise_errors(said)
    text = recipe_text(recipe, pieces, conditions)
    inverse = Recipe.of_text(text, f"inverse of {recipe.name}", directory=recipe.directory)
    return dataclasses.replace(inverse, warnings=(*said, *inverse.warnings))


def _check_whole(inverse: Recipe, ground: Ground, stages: Sequence[Stage]) -> None:
    """Plan the whole inverse on the result, and compare keys, shapes and dtypes with the source.

    Raises:
        SurgeryError: they differ, which would be a mistake of ours.
    """
    values = {name: value for name, value in ground.bound.values.items() if name in inverse.params}
    values |= {name: "result" for name in inverse.params if name not in values}
    bound = inverse.bind(values)
    entries = {key: dataclasses.replace(entry, kind=None) for key, entry in stages[-1].after.entries.items()}
    restored = apply_steps(bound.steps, Subject(entries), Context())
    before = {key: entry.spec for key, entry in stages[0].before.entries.items()}
    assert {key: entry.spec for key, entry in restored.entries.items()} == before, "each step alone comes right"
