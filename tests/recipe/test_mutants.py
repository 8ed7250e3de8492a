"""Whatever stands in a recipe: it is read, or refused with places, quickly, and in little memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture
def little_memory() -> Iterator[None]:
    """What is read may take no more than 200 MiB beyond what the process has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("little_memory")
def test_only_surgery_errors_come_out(mutants, cases, seed):
    known = set(all_codes())
    for text in mutants(seed, cases(2000)):
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
