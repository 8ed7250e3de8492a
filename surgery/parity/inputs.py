"""What two models are compared on, and at which of their parts, as fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.fields import OPEN, Kind, Reader, integer, list_of, option
from surgery.fields.declare import REQUIRED
from surgery.fields.kinds import describe
from surgery.fields.schema import object_schema

__all__ = ["Drawn", "inputs", "parts"]


@dataclass(frozen=True, slots=True)
class _Parts(Kind):
    """A name inside both models; or a list of two, of the reference and of the result, null being the whole."""

    def read(self, node: Node, reader: Reader) -> Any:
        items = reader.items(node)
        values = [reader.scalar(item) if isinstance(item, Scalar) else item for item in items]
        if OPEN in values:
            return OPEN
        names = [str(value) if isinstance(value, int) and not isinstance(value, bool) else value for value in values]
        if len(names) > 2 or not names or not all(name is None or (isinstance(name, str) and name) for name in names):
            what = describe(node if isinstance(node, ListNode) else values[0])
            note = "such as `logits`, or `[last_hidden_state, 0]` for the reference and the result"
            reader.report("wrong-type", f"a name, or a list of two, stands here, not {what}", node.span, (note,))
            return None
        return names[0], names[-1]

    def schema(self) -> dict[str, Any]:
        name = {"type": ["string", "integer", "null"]}
        return {"anyOf": [name, {"type": "array", "items": name, "maxItems": 2}]}


#: a part of the reference, and one of the result
parts = _Parts()


@dataclass(frozen=True, slots=True)
class Drawn:
    """An input of a model: normally distributed, or integers from 0 to below `below`, such as tokens."""

    shape: tuple[int, ...] = option(list_of(integer), default=REQUIRED, help="its shape, batch included")
    below: int | None = option(integer, help="integers below this, in the place of normally distributed values")
    name: Any = option(parts, help="the keyword argument that it is, of both models or of each: `[input_ids, text]`")


@dataclass(frozen=True, slots=True)
class _Inputs(Kind):
    """A shape; ``{shape: […], below: N}`` for integers below N; or a list of these, one for each argument."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> tuple[Drawn, ...]:
        many = isinstance(node, ListNode) and any(not isinstance(item, Scalar) for item in node.items)
        found = [self._one(item, reader) for item in (reader.items(node) if many else (node,))]
        return tuple(one for one in found if one is not None)

    def _one(self, node: Node, reader: Reader) -> Drawn | None:
        if not isinstance(node, MapNode):
            return Drawn(list_of(integer).read(node, reader))
        read = reader.fields(Drawn, node)
        if read is not None and isinstance(read.below, int) and read.below < 1:
            reader.report("wrong-type", f"no integer is from 0 to below {read.below}", node.span)
        return read

    def schema(self) -> dict[str, Any]:
        one = {"if": {"type": "object"}, "then": object_schema(Drawn), "else": list_of(integer).schema()}
        return {"anyOf": [one, {"type": "array", "items": one}]}


#: the inputs of a model, one for each argument
inputs = _Inputs()
