"""Texts and arguments that know where they stand, for errors that are found after the recipe was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import Span
from surgery.document import MapNode, Node, Scalar
from surgery.fields.kinds import Kind, anything, string
from surgery.fields.reader import OPEN, Reader

__all__ = ["Arguments", "Word", "arguments", "span_of", "word"]


class Word(str):
    """A text, and its place."""

    span: Span | None

    def __new__(cls, text: str, span: Span | None = None) -> Word:
        made = super().__new__(cls, text)
        made.span = span
        return made


class Arguments(dict[str, Any]):
    """Keyword arguments, and the places of their names."""

    def __init__(self, values: dict[str, Any], spans: dict[str, Span]) -> None:
        super().__init__(values)
        self.spans = spans


def span_of(value: object, name: str | None = None) -> Span | None:
    """The place of a word, or of the argument `name`; None where it is not known (from Python)."""
    if isinstance(value, Arguments):
        return value.spans.get(name or "")
    return value.span if isinstance(value, Word) else None


@dataclass(frozen=True, slots=True)
class _Word(Kind):
    """A text."""

    def read(self, node: Node, reader: Reader) -> Any:
        value = string.read(node, reader)
        return value if value is OPEN or value is None else Word(value, _place(node))

    def schema(self) -> dict[str, Any]:
        return string.schema()


@dataclass(frozen=True, slots=True)
class _Arguments(Kind):
    """A mapping of keyword arguments."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Any:
        if not isinstance(node, MapNode):
            reader.report("wrong-type", "a mapping of arguments stands here", node.span, ("`{num_classes: 10}`",))
            return None
        values = anything.read(node, reader)
        return Arguments(values, {str(key.value): _place(key) for key, _ in node.pairs})

    def schema(self) -> dict[str, Any]:
        return {"type": "object"}


def _place(node: Node) -> Span:
    """The whole text of a scalar."""
    return node.text.span(0, len(node.text.value)) if isinstance(node, Scalar) else node.span


#: a text that errors may point at
word = _Word()
#: keyword arguments of a function that makes a model
arguments = _Arguments()
