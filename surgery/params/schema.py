"""The declarations under ``params`` as JSON Schema, draft 7, for editors."""

from __future__ import annotations

from typing import Any

from surgery.params.types import TYPES

__all__ = ["declarations_schema"]


def declarations_schema() -> dict[str, Any]:
    """A mapping from names to defaults or declarations."""
    one = {"enum": list(TYPES)}
    scalar = {"type": ["string", "number", "boolean"]}
    words: dict[str, Any] = {
        "type": {
            "description": "the type of a value; in brackets, of each item of a list",
            "anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 1}],
        },
        "default": {"description": "the value where none is given; without one it has to be"},
        "choices": {"description": "the only values it may have", "type": "array", "minItems": 1},
        "help": {"description": "one line for people", "type": ["string", "number", "boolean"]},
        "from": {
            "description": "a JSON file beside the weights, `#`, and a JSON pointer",
            "type": "string",
            "pattern": "#",
        },
        "minimum": {"description": "the least number it may be", "type": "number"},
        "maximum": {"description": "the largest number it may be", "type": "number"},
    }
    declaration = {"type": "object", "properties": words, "additionalProperties": False, "minProperties": 1}
    default = {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1}, declaration]}
    return {"type": ["object", "null"], "propertyNames": {"pattern": r"^[^\W\d]\w*$"}, "additionalProperties": default}
