"""Fields: how a frozen dataclass (a step, a source, an output) is read from a document, and described as a schema.

A field is declared once, with its kind, and from that follow its parser, its JSON Schema, its completion and its line
on the reference page.
"""

from __future__ import annotations

from surgery.fields.declare import Field, fields_of, main, main_field, option
from surgery.fields.kinds import (
    Kind,
    anything,
    boolean,
    either,
    integer,
    key,
    list_of,
    mapping_of,
    name_in,
    number,
    one_of,
    string,
)
from surgery.fields.language import rules, selection
from surgery.fields.reader import OPEN, Declared, Reader

__all__ = [
    "OPEN",
    "Declared",
    "Field",
    "Kind",
    "Reader",
    "anything",
    "boolean",
    "either",
    "fields_of",
    "integer",
    "key",
    "list_of",
    "main",
    "main_field",
    "mapping_of",
    "name_in",
    "number",
    "one_of",
    "option",
    "rules",
    "selection",
    "string",
]
