"""Declared fields as JSON Schema, draft 7."""

from __future__ import annotations

from typing import Any

from surgery.fields.declare import fields_of, main_field

__all__ = ["fields_schema", "first_sentence", "object_schema"]


def object_schema(cls: type) -> dict[str, Any]:
    """The mapping of the fields of `cls`, each with its help as description; other words are errors."""
    declared = fields_of(cls)
    whole: dict[str, Any] = {
        "type": "object",
        "properties": {f.name: {**({"description": f.help} if f.help else {}), **f.kind.schema()} for f in declared},
        "additionalProperties": False,
    }
    required = [f.name for f in declared if f.required]
    return whole | {"required": required} if required else whole


def fields_schema(cls: type) -> dict[str, Any]:
    """What `cls` is read from: the mapping of its fields, or its main field alone."""
    alone = main_field(cls)
    whole = object_schema(cls)
    return {"anyOf": [alone.kind.schema(), whole]} if alone else whole


def first_sentence(cls: type) -> str:
    """The first paragraph of a docstring, on one line: the description that an editor shows."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
