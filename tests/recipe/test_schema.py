"""The JSON Schema: fresh, valid, and of one mind with the reader."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from surgery.document.nodes import plain
from surgery.document.parse import parse_document
from surgery.library import shipped
from surgery.recipe import Recipe
from surgery.schema import recipe_schema, schema_text
from surgery.sources import SOURCES
from surgery.steps import STEPS

KEPT = Path(__file__).parents[2] / "docs" / "recipe.schema.json"


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft7Validator.check_schema(recipe_schema())
    return jsonschema.Draft7Validator(recipe_schema())


def errors(validator, text: str) -> list[str]:
    found = validator.iter_errors(plain(parse_document(text, "recipe.yaml")))
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def test_the_kept_schema_is_fresh():
    assert KEPT.read_text(encoding="utf-8") == schema_text(), "run `python docs/generate.py`"


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_recipes_are_valid(name, validator):
    assert errors(validator, Recipe.read(name).text) == []


@pytest.mark.parametrize("name", list(STEPS))
def test_the_example_of_a_step_is_valid(name, validator):
    assert errors(validator, f"steps:\n  - {STEPS[name].example}") == []


@pytest.mark.parametrize("name", list(SOURCES))
def test_the_example_of_a_source_is_valid(name, validator):
    assert errors(validator, f"source: {SOURCES[name].example}\nsources: {{a: {SOURCES[name].example}}}") == []


@pytest.mark.parametrize(
    "text",
    [
        '- rename: "a -> b"\n- filter: {drop: c}\n  when: $flag\n  note: x',
        "steps:\nparams:\noutput:",
        "seed: $n\nparams: {n: 3, m: {type: [integer], default: [1], help: x}, p: {type: path}, l: [1, 2]}",
        "output: [a.pth, {path: b.pth, format: $f, overwrite: $o}]",
        'steps: [{rename: [{rule: "a -> b", count: 3, optional: true, note: x}, "c -> d"]}]',
        "expect: {keys: 3, finite: true, like: {checkpoint: a.pth}}",
        "sources: {a: {checkpoint: {path: a.pth, entry: model}}}",
        "source: model.pth",
        "sources: {a: a.pth, b: $b}",
        "tests: [{name: a, files: {a.pth: {keys: {w: [1, 2]}}}, expect: {keys: {w: {shape: [], dtype: int8}}}}]",
        "tests: [{name: a, source: {source: {keys: {w: []}}, steps: [{mode: eval}]}, error: {code: yaml, at: x}}]",
    ],
)
def test_right_recipes(text, validator):
    assert errors(validator, text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae: x", ": Additional properties are not allowed ('nmae' was unexpected)"),
        ("surgery: 2", "surgery: 1 was expected"),
        ("seed: [1]", "seed: [1] is not valid under any of the given schemas"),
        ("steps: [{renmae: a}]", "steps/0: Additional properties are not allowed ('renmae' was unexpected)"),
        ("steps: [rename]", "steps/0: 'rename' is not of type 'object'"),
        ("- filter: {kep: a}", "0/filter: Additional properties are not allowed ('kep' was unexpected)"),
        ("- load: {missing: fc}", "0/load: 'from' is a required property"),
        ("- filter: a", "0/filter: 'a' is not of type 'object'"),
        ("source: {checkpont: a}", "source: Additional properties are not allowed ('checkpont' was unexpected)"),
        ("source: 3", "source: 3 is not of type 'object', 'string'"),
        ("output: {pth: a}", "output: Additional properties are not allowed ('pth' was unexpected)"),
        ("expect: {kys: 3}", "expect: Additional properties are not allowed ('kys' was unexpected)"),
        ("expect: 3", "expect: 3 is not of type 'object'"),
        ("- {}", "0: {} should be non-empty"),
    ],
)
def test_mistakes(text, message, validator):
    assert message in errors(validator, text)


def test_every_word_is_described():
    def walk(schema, path=""):
        if isinstance(schema, dict):
            for word, inner in (schema.get("properties") or {}).items():
                if isinstance(inner, dict) and not inner.get("description"):
                    yield f"{path}/{word}"
            for word, inner in schema.items():
                yield from walk(inner, f"{path}/{word}")
        elif isinstance(schema, list):
            for number, inner in enumerate(schema):
                yield from walk(inner, f"{path}/{number}")

    assert list(walk(recipe_schema())) == []
