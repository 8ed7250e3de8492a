"""References and what is passed along, as fields: ``use: clean.yaml`` with ``params: {classes: $classes}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import Span, SurgeryError
from surgery.document import MapNode, Node, Scalar
from surgery.fields import OPEN, Kind, Reader, anything, string
from surgery.fields.kinds import describe
from surgery.references.parse import parse_reference

__all__ = ["Named", "Passed", "passed", "reference"]


@dataclass(frozen=True, slots=True)
class Named:
    """A reference in a recipe.

    Attributes:
        base: the directory that a path is relative to, where the caller named it by a parameter, and so allowed it;
            None for that of the recipe.
    """

    text: str
    span: Span
    base: str | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Passed:
    """A value that one recipe passes to another for a parameter.

    Attributes:
        span: the place of the value.
        name: the place of the parameter's name.
        base: what a relative path is relative to, where a parameter gave it; None for the directory of the recipe.
    """

    value: Any
    span: Span
    name: Span
    base: str | None = None


@dataclass(frozen=True, slots=True)
class _Reference(Kind):
    """A reference to a recipe: a path, ``builtin:…``, ``github:org/repo//…@rev``."""

    def read(self, node: Node, reader: Reader) -> Any:
        text = string.read(node, reader)
        if not isinstance(text, str):
            return text
        try:
            parse_reference(text, node.span)
        except SurgeryError as error:
            reader.diagnostics.extend(error.diagnostics)
        return Named(text, node.span, reader.directory_of(node, callers=True))

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class _Values(Kind):
    """Values for the parameters of the recipe: name -> value."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Any:
        if not isinstance(node, MapNode):
            given = node.value if isinstance(node, Scalar) else node
            message = f"a mapping from parameters to values stands here, not {describe(given)}"
            reader.report("wrong-type", message, node.span)
            return ()
        read = [(key, value, anything.read(value, reader)) for key, value in node.pairs]
        if any(value is OPEN for *_, value in read):
            return OPEN
        return tuple(
            (str(key.value), Passed(value, node.span, key.span, _directory_of(node, reader)))
            for key, node, value in read
        )

    def schema(self) -> dict[str, Any]:
        return {"type": "object"}


def _directory_of(node: Node, reader: Reader) -> str | None:
    """What paths in a value are relative to, where parameters say it; of a list, where they say one of all items."""
    directories = {reader.directory_of(item) for item in reader.items(node)}
    return directories.pop() if len(directories) == 1 else None


reference = _Reference()
passed = _Values()
