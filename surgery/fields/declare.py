"""Declaring fields: ``rest: str = option(one_of("keep", "drop"), default="keep", help="…")``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from surgery.fields.kinds import Kind

__all__ = ["REQUIRED", "Field", "fields_of", "main", "main_field", "option"]

#: the default of a field that has none
REQUIRED: Any = dataclasses.MISSING
_KEY = "surgery"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a step, source or output.

    Attributes:
        name: what a recipe calls it; the attribute of the dataclass, or ``word`` where that is a word of Python
            (``from`` is the attribute ``from_``).
        attribute: the attribute of the dataclass.
        kind: how it is read.
        main: whether it may stand alone: ``freeze: "**"`` is ``freeze: {select: "**"}``.
        default: the value where it is left out; `REQUIRED` where it may not be.
        help: one line for people.
    """

    name: str
    attribute: str
    kind: Kind
    main: bool
    default: Any
    help: str

    @property
    def required(self) -> bool:
        """Whether it may not be left out."""
        return self.default is REQUIRED


def main(kind: Kind, *, default: Any = REQUIRED, help: str = "") -> Any:
    """The field that may stand alone behind the name of the step."""
    return dataclasses.field(default=default, metadata={_KEY: (kind, True, help)})


def option(kind: Kind, *, default: Any = None, help: str = "") -> Any:
    """A field that is named. Its default is None unless one is given; `REQUIRED` means that there is none."""
    return dataclasses.field(default=default, metadata={_KEY: (kind, False, help)})


def fields_of(cls: type) -> tuple[Field, ...]:
    """The declared fields of a dataclass, in order."""
    found = []
    for field in dataclasses.fields(cls):
        if _KEY in field.metadata:
            kind, is_main, text = field.metadata[_KEY]
            found.append(Field(field.name.rstrip("_"), field.name, kind, is_main, field.default, text))
    return tuple(found)


def main_field(cls: type) -> Field | None:
    """The field that may stand alone, or None."""
    return next((field for field in fields_of(cls) if field.main), None)
