"""A source as a field: ``{torchvision: resnet50, weights: null}``, or ``model.pth``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.document import MapNode, Node, Scalar
from surgery.fields import Kind, Reader, fields_of
from surgery.fields.kinds import describe
from surgery.fields.schema import object_schema
from surgery.sources import SOURCES
from surgery.sources.base import Source
from surgery.suggest import did_you_mean

__all__ = ["source", "source_schema"]


@dataclass(frozen=True, slots=True)
class _SourceKind(Kind):
    """A mapping, one word of which names a source, the others its fields; or a text, the place of a checkpoint."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Source | None:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return reader.fields(SOURCES["checkpoint"], node)
        if not isinstance(node, MapNode):
            given = node.value if isinstance(node, Scalar) else node
            message = f"a source stands here, not {describe(given)}"
            reader.report("wrong-type", message, node.span, (f"such as {_examples()}",))
            return None
        # the first word mostly names it, and then no other source has to be imported
        named = next((key for key, _ in node.pairs if key.value in SOURCES), None)
        if named is None:
            self._unknown(node, reader)
            return None
        cls = SOURCES[str(named.value)]
        own = {field.name for field in fields_of(cls)}
        other = next((key for key, _ in node.pairs if key.value not in own and key.value in SOURCES), None)
        if other is not None:
            note = "several are `sources: {a: …, b: …}`"
            reader.report("source", f"`{named.value}` and `{other.value}` are two sources", other.span, (note,))
            return None
        return reader.fields(cls, node)

    def _unknown(self, node: MapNode, reader: Reader) -> None:
        key = node.pairs[0][0] if node.pairs else None
        word = str(key.value) if key else ""
        near = next((n for k, _ in node.pairs if (n := did_you_mean(str(k.value), SOURCES))), None)
        message = f"there is no source `{word}`" if key else "this names no source"
        reader.report("source", message, key.span if key else node.span, (near or f"such as {_examples()}",))

    def schema(self) -> dict[str, Any]:
        return {"$ref": "#/definitions/source"}


def _examples() -> str:
    return ", ".join(f"`{SOURCES[name].example}`" for name in SOURCES if SOURCES[name].example)


def source_schema() -> dict[str, Any]:
    """A source as JSON Schema: a text, or the fields of all sources together, of which each source takes its own."""
    properties: dict[str, Any] = {name: {} for name in SOURCES}
    for name in SOURCES:
        for word, schema in object_schema(SOURCES[name])["properties"].items():
            properties[word] = properties.get(word) or schema
    # not `anyOf`: editors would say of a misspelled word only that nothing fits
    words = {"properties": properties, "additionalProperties": False, "minProperties": 1}
    return {"type": ["object", "string"], "if": {"type": "object"}, "then": words}


source = _SourceKind()
