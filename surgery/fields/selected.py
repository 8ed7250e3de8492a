"""Mappings from selectors to values: ``count: {"layers.*": 24}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.document import MapNode, Node
from surgery.fields.kinds import Kind
from surgery.fields.language import selection
from surgery.fields.reader import Reader
from surgery.lang import Selection

__all__ = ["by_selector"]


@dataclass(frozen=True, slots=True)
class by_selector(Kind):
    """A mapping from selectors to values of one kind, as a tuple of pairs: selection, value."""

    item: Kind
    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> tuple[tuple[Selection, Any], ...]:
        if not isinstance(node, MapNode):
            reader.report("wrong-type", "a mapping from selectors stands here", node.span)
            return ()
        pairs = [(selection.read(key, reader), self.item.read(value, reader)) for key, value in node.pairs]
        return tuple((selector, value) for selector, value in pairs if selector is not None)

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.item.schema()}
