"""The recipes that a recipe names: read, bound and applied while it is planned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from surgery.diagnostics import Diagnostic, SurgeryError, fail
from surgery.limits import exceeded, limits
from surgery.opening import open_sources
from surgery.permissions import may_include, refused
from surgery.planning.context import Context, Link
from surgery.recipe import Recipe
from surgery.references.base import Found, Reference
from surgery.references.kind import Named, Passed
from surgery.references.parse import is_path, parse_reference
from surgery.references.path import PathReference
from surgery.steps.sequence import apply_steps
from surgery.steps_alone import bound_steps
from surgery.tensors.subject import Subject

__all__ = ["Inclusion", "noted", "surroundings"]


def surroundings(recipe: Recipe, **known: Any) -> Context:
    """The surroundings in which a recipe is planned: its directory, and the recipes that it may bring in.

    Args:
        known: other attributes of `Context`.
    """
    return Context(
        directory=Path(recipe.directory),
        recipes=Inclusion(recipe),
        chain=(Link(recipe.reference, recipe.display),),
        included=dict(recipe.origin),
        is_foreign=recipe.is_foreign,
        **known,
    )


class Inclusion:
    """Reads the recipes that one recipe brings in, each once.

    Args:
        top: the recipe that is planned; what lies in its directory it may bring in.
    """

    def __init__(self, top: Recipe) -> None:
        self._top = top
        self._own = frozenset({own} if (own := top.reference.beside(".", None).permission()) else ())
        self._read: dict[str, Recipe] = {}
        self._count = 0

    def result(self, named: Named, params: Mapping[str, Passed], context: Context) -> Subject:
        """The subject that another recipe makes of its own source.

        Raises:
            SurgeryError: it cannot be read, or its plan fails.
        """
        recipe, link = self._recipe(named, context)
        label = context.named(named.text)
        with _inside(recipe, link, context, label=label, given={}) as inner:
            bound = recipe.bind(_given(params, context), context.directory, by_recipe=True)
            inner.seed = bound.seed
            context.brought[named.span] = bound.steps
            if bound.source is None and not bound.sources:
                note = f"`steps: [{{use: {named}}}]` does its steps to what is there"
                raise fail(
                    "not-given", f"`{named}` has no source of its own, so there is no result", named.span, (note,)
                )
            subject = apply_steps(bound.steps, open_sources(bound, inner), inner)
            return bound.expect.check_plan(subject, inner) if bound.expect is not None else subject

    def applied(self, named: Named, params: Mapping[str, Passed], subject: Subject, context: Context) -> Subject:
        """The subject after the steps of another recipe.

        Raises:
            SurgeryError: it cannot be read, or a step of it fails.
        """
        recipe, link = self._recipe(named, context)
        with _inside(recipe, link, context, label=context.label, given=context.given) as inner:
            steps = bound_steps(recipe, _given(params, context), context.directory)
            context.brought[named.span] = steps
            return apply_steps(steps, subject, inner)

    def _recipe(self, named: Named, context: Context) -> tuple[Recipe, Link]:
        """The recipe that is named, if it may be, and if it is not itself on the way to here."""
        reference = _reference(named, context)
        _refuse_cycle(reference, context.chain, named)
        self._count += 1
        if self._count > limits().recipes:
            raise exceeded("recipes", "recipes bring in recipes, again and again", named.span)
        if len(context.chain) > limits().nesting:
            raise exceeded("nesting", "recipes bring in recipes that bring in recipes", named.span)
        if reference.identity not in self._read:
            found = self._found(reference, named, context)
            context.included[str(reference)] = found
            with _told(named):
                self._read[reference.identity] = Recipe.of_found(found)
        recipe = self._read[reference.identity]
        # whatever a recipe from elsewhere brings in does its work, and may do no more than it may
        recipe = dataclasses.replace(recipe, is_foreign=recipe.is_foreign or context.is_foreign)
        return recipe, Link(recipe.reference, named.text, named.span)

    def _found(self, reference: Reference, named: Named, context: Context) -> Found:
        """The recipe of a reference: the one that it is locked to, if it is; a branch is warned of if it is not."""

        def allowed(reference: Reference) -> None:
            # a path that a parameter gives is the caller's own word
            needed = reference.permission() if named.base is None else None
            # what lies beside the caller's own recipe is not there for one from elsewhere that it brings in
            own = self._own if self._top.is_foreign or not context.is_foreign else frozenset()
            if needed is not None and not may_include(context.allow | own, needed):
                raise refused(needed, f"`{named}` is a recipe from elsewhere, and nobody allowed that", named.span)

        if context.pins is not None:
            found = context.pins.find(reference, named, context, allowed)
        else:
            allowed(reference)
            found = reference.find(named.span)
        if found.is_moving:
            note = f"it is at {found.commit} now; `surgery lock` keeps it there"
            context.report("moving-reference", f"`{named}` follows a branch", named.span, (note,), warning=True)
        return found


@contextmanager
def _inside(
    recipe: Recipe, link: Link, context: Context, *, label: str, given: Mapping[str, object]
) -> Iterator[Context]:
    """The surroundings inside a recipe: its own directory, and errors that say on which way it was reached."""
    inner = dataclasses.replace(
        context,
        chain=(*context.chain, link),
        directory=recipe.directory,
        is_foreign=recipe.is_foreign,
        label=label,
        given=given,
        diagnostics=[],
    )
    with _told(link):
        yield inner
    context.diagnostics.extend(noted(inner.diagnostics, link))
    context.inventory.update(inner.inventory)


@contextmanager
def _told(brought: Named | Link) -> Iterator[None]:
    """Errors inside say by which words the recipe was brought in that they are about."""
    try:
        yield
    except SurgeryError as error:
        raise SurgeryError(noted(error.diagnostics, brought)) from error


def noted(found: Iterable[Diagnostic], brought: Named | Link) -> Iterator[Diagnostic]:
    """What is wrong in a recipe, with a note on where it is brought in, unless it is just that place that is shown."""
    note = f"`{brought.text}` is brought in at {brought.span}"
    for diagnostic in found:
        notes = diagnostic.notes if diagnostic.span == brought.span else (*diagnostic.notes, note)
        yield dataclasses.replace(diagnostic, notes=notes)


def _given(params: Mapping[str, Passed], context: Context) -> Mapping[str, Passed]:
    """What is passed, with what paths are relative to: the recipe that passes them.

    A path in a recipe from elsewhere stays that recipe's own word, whatever recipe it is passed to.
    """
    if context.is_foreign:
        return params
    return {name: dataclasses.replace(p, base=p.base or str(context.directory)) for name, p in params.items()}


def _reference(named: Named, context: Context) -> Reference:
    """The reference that is named; a path is relative to the recipe in which it stands."""
    if named.base is not None and is_path(named.text):
        return PathReference(str(Path(named.base) / named.text))
    return parse_reference(named.text, named.span, beside=context.chain[-1].reference)


def _refuse_cycle(reference: Reference, chain: tuple[Link, ...], named: Named) -> None:
    names = [link.reference.identity for link in chain]
    if reference.identity not in names:
        return
    texts = [link.text for link in chain[names.index(reference.identity) :]] + [named.text]
    way = [f"`{text}` brings in `{brought}`" for text, brought in pairwise(texts)]
    raise fail("recipe-cycle", "the recipe brings in itself", named.span, way)
