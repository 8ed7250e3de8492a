"""The JSON Schema (draft 7) of recipes, for editors: made of what is registered, kept in ``docs/recipe.schema.json``.

It is one object with ``properties`` and ``additionalProperties: false`` at each level: a ``oneOf`` over steps would
give messages that name every step but the one that was meant.
"""

from __future__ import annotations

import json
from typing import Any

from surgery.content import FORMAT, Content
from surgery.fields.schema import first_sentence, object_schema
from surgery.sources.kind import source_schema
from surgery.steps.sequence import step_schema

__all__ = ["SCHEMA_FILE", "recipe_schema", "schema_text"]

#: what the first line of a recipe calls the schema: a file beside the recipe, which ``surgery schema`` prints
SCHEMA_FILE = "recipe.schema.json"


def recipe_schema() -> dict[str, Any]:
    """The schema of a recipe file: a mapping with the words of a recipe, or its steps alone."""
    whole = {"description": first_sentence(Content), **object_schema(Content)}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"urn:surgery:recipe:{FORMAT}",
        "title": "A surgery recipe",
        "if": {"type": "array"},
        "then": {"items": {"$ref": "#/definitions/step"}},
        "else": whole,
        "definitions": {"step": step_schema(), "source": source_schema()},
    }


def schema_text() -> str:
    """The content of ``docs/recipe.schema.json``."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"
