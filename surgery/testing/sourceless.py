"""A recipe without its own source, for a case that gives another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from surgery.content import read_content
from surgery.diagnostics import SurgeryError
from surgery.document import MapNode
from surgery.fields import Declared, Reader
from surgery.params.declare import with_their_origins
from surgery.recipe import Recipe

__all__ = ["sourceless"]


def sourceless(recipe: Recipe, given: Iterable[str]) -> Recipe:
    """The recipe without `source` and `sources`, and without the parameters that nothing else needs.

    Args:
        recipe: with a source or without.
        given: the parameters that have values all the same, and stay.

    Raises:
        SurgeryError: the rest cannot be read alone.
    """
    assert isinstance(recipe.document, MapNode), "only a mapping has tests"
    pairs = tuple(pair for pair in recipe.document.pairs if pair[0].value not in ("source", "sources"))
    document = dataclasses.replace(recipe.document, pairs=pairs)
    reader = Reader({name: Declared(name) for name in recipe.params})
    content = read_content(document, reader)
    if content is None or reader.diagnostics:
        raise SurgeryError(reader.diagnostics)
    params = with_their_origins((*reader.used, *given), recipe.params)
    return dataclasses.replace(recipe, document=document, content=content, params=params)
