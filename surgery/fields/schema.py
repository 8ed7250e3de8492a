"""Declared fields as JSON Schema, draft 7."""

from __future__ import annotations

from typing import Any

from surgery.fields.declare import fields_of, main_field

__all__ = ["described", "fields_schema", "first_sentence", "object_schema"]


def object_schema(cls: type) -> dict[str, Any]:
    """The mapping of the fields of `cls`, each with its help as description; other words are errors."""
    declared = fields_of(cls)
    whole: dict[str, Any] = {
        "type": "object",
        "properties": {f.name: described(f.kind.schema(), f.help or f.kind.about) for f in declared},
        "additionalProperties": False,
    }
    required = [f.name for f in declared if f.required]
    return whole | {"required": required} if required else whole


def described(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """A schema with a description, which draft 7 ignores beside a ``$ref``."""
    if not text:
        return schema
    return {"description": text, **({"allOf": [schema]} if "$ref" in schema else schema)}


def fields_schema(cls: type) -> dict[str, Any]:
    """What `cls` is read from: the mapping of its fields, or its main field alone.

    Where the main field is never a mapping itself, the form decides which of the two is meant, so that an editor's
    message is about that one.
    """
    alone = main_field(cls)
    whole = object_schema(cls)
    if alone is None:
        return whole
    if alone.kind.takes_mapping:
        return {"anyOf": [alone.kind.schema(), whole]}
    return {"if": {"type": "object"}, "then": whole, "else": alone.kind.schema()}


def first_sentence(cls: type) -> str:
    """The first paragraph of a docstring, on one line: the description that an editor shows."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
