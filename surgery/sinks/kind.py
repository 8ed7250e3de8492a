"""Outputs as a field: a path, a mapping, or a list of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.document import MapNode, Node, Scalar
from surgery.fields import Kind, Reader
from surgery.fields.schema import fields_schema
from surgery.sinks.base import Output

__all__ = ["output"]


@dataclass(frozen=True, slots=True)
class _OutputKind(Kind):
    """One output or several, each with its place and the directory its path is relative to."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> tuple[Output, ...]:
        if isinstance(node, Scalar) and node.value is None:
            return ()
        found = [self._output(item, reader) for item in reader.items(node)]
        return tuple(output for output in found if output is not None)

    def _output(self, node: Node, reader: Reader) -> Output | None:
        read = reader.fields(Output, node)
        path = node.get("path") if isinstance(node, MapNode) else node
        if read is None or path is None:
            return None
        if read.path == "":
            reader.report("wrong-type", "a path stands here", path.span)
            return None
        return dataclasses.replace(read, base=reader.directory_of(path), span=path.span)

    def schema(self) -> dict[str, Any]:
        one = fields_schema(Output)
        return {"if": {"type": ["array", "null"]}, "then": {"items": one}, "else": one}


output = _OutputKind()
