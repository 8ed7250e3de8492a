"""Whatever stands in a recipe: it is read, or refused with places, quickly."""

from __future__ import annotations

import time

import jsonschema
import pytest

from surgery.codes import all_codes
from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.document.nodes import plain
from surgery.recipe import Recipe
from surgery.schema import recipe_schema


def diagnostics(text: str) -> tuple[Diagnostic, ...]:
    try:
        return Recipe.of_text(text, "recipe.yaml").warnings
    except SurgeryError as error:
        return error.diagnostics


@pytest.mark.parametrize("seed", range(3))
def test_only_surgery_errors_come_out(mutants, seed):
    known = set(all_codes())
    for text in mutants(seed, 1000):
        start = time.process_time()
        found = diagnostics(text)
        assert time.process_time() - start < 2
        assert {d.code for d in found} <= known
        assert all(d.span is not None and str(d) for d in found)


def test_what_is_read_is_valid_by_the_schema(mutants):
    validator = jsonschema.Draft7Validator(recipe_schema())
    count = 0
    for text in mutants(99, 1500):
        try:
            recipe = Recipe.of_text(text, "recipe.yaml")
        except SurgeryError:
            continue
        count += 1
        validator.validate(plain(recipe.document))
    assert count > 100
