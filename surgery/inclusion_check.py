"""The recipes that a recipe brings in, checked without weights and without a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.inclusion import noted
from surgery.limits import exceeded, limits
from surgery.params.param import REQUIRED
from surgery.permissions import may_include
from surgery.recipe import Recipe
from surgery.references.kind import Named, Passed
from surgery.references.parse import parse_reference
from surgery.sources.recipe import RecipeSource
from surgery.steps.use import Use
from surgery.steps_alone import step_params
from surgery.suggest import did_you_mean
from surgery.wording import listed

__all__ = ["check_included"]


def check_included(recipe: Recipe) -> list[Diagnostic]:
    """What is wrong with the recipes that a recipe brings in, and with what it passes to them.

    Those that would have to be fetched, or that only a permission lets it name, are not looked at; a warning says so.
    """
    own = recipe.reference.beside(".", None).permission()
    return list(_Checker({own} if own else set()).errors(recipe, (recipe.reference.identity,)))


class _Checker:
    def __init__(self, own: set[str]) -> None:
        self._own = own
        self._unreadable: set[tuple[str, str]] = set()
        self._done: set[str] = set()

    def errors(self, recipe: Recipe, way: tuple[str, ...]) -> Iterator[Diagnostic]:
        for bringing in _bringing(recipe.content):
            named = bringing.recipe
            # what a parameter names is known when it is run
            if not isinstance(named, Named) or named.base is not None:
                continue
            try:
                inner = self._inner(named, recipe)
            except SurgeryError as error:
                # one that is used several times is wrong once
                if (recipe.reference.identity, named.text) not in self._unreadable:
                    yield from noted(error.diagnostics, named)
                self._unreadable.add((recipe.reference.identity, named.text))
                continue
            if inner is None:
                note = "`surgery plan` looks at it, with its permission"
                message = f"`{named}` was not checked: it lies elsewhere"
                yield Diagnostic("not-checked", message, named.span, (note,), "warning")
                continue
            yield from _misfits(bringing, inner)
            identity = inner.reference.identity
            if len(way) > limits().nesting:
                message = "recipes bring in recipes that bring in recipes"
                yield from exceeded("nesting", message, named.span).diagnostics
            elif identity in way:
                yield Diagnostic("recipe-cycle", "the recipe brings in itself", named.span)
            elif identity not in self._done:
                self._done.add(identity)
                yield from noted(self.errors(inner, (*way, identity)), named)

    def _inner(self, named: Named, recipe: Recipe) -> Recipe | None:
        reference = parse_reference(named.text, named.span, beside=recipe.reference)
        needed = reference.permission()
        if needed is not None and not may_include(self._own, needed):
            return None
        return Recipe.of_found(reference.find(named.span))


def _bringing(value: Any) -> Iterator[RecipeSource | Use]:
    """What brings in recipes, wherever it stands in the content of a recipe."""
    if isinstance(value, RecipeSource | Use):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _bringing(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _bringing(inner)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _bringing(getattr(value, field.name))


def _misfits(bringing: RecipeSource | Use, inner: Recipe) -> Iterator[Diagnostic]:
    """Parameters that are passed and not there, and those that are there and not passed."""
    params = inner.params if isinstance(bringing, RecipeSource) else step_params(inner)
    given: dict[str, Passed] = dict(bringing.params) if isinstance(bringing.params, tuple) else {}
    for name, value in given.items():
        if name not in params:
            known = f"its parameters: {listed(params)}" if params else "it has none"
            message = f"the recipe has no parameter `{name}`"
            yield Diagnostic("parameter-value", message, value.name, (did_you_mean(name, params) or known,))
    if not isinstance(bringing.params, tuple):
        return
    for name, param in params.items():
        if name not in given and param.default is REQUIRED and param.origin is None:
            message = f"`{name}` of `{bringing.recipe}` has to be given: {param.help or param.what}"
            yield Diagnostic("parameter-value", message, bringing.recipe.span, (f"`params: {{{name}: …}}`",))
