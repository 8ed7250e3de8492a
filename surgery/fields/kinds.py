"""Kinds of values: how each is read from a node, checked, and described as a JSON Schema."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.registry import Registry
from surgery.suggest import did_you_mean

if TYPE_CHECKING:
    from surgery.fields.reader import Reader

__all__ = [
    "Kind",
    "anything",
    "boolean",
    "describe",
    "either",
    "integer",
    "key",
    "list_of",
    "mapping_of",
    "name_in",
    "number",
    "one_of",
    "string",
]


class Kind(ABC):
    """A kind of value."""

    #: whether a mapping is a value of this kind
    takes_mapping: ClassVar[bool] = False
    #: what a field of this kind says of itself where it has no help of its own
    about: ClassVar[str] = ""

    def takes(self, node: MapNode) -> bool:
        """Whether this mapping may be a value of this kind."""
        return self.takes_mapping

    def meant(self, word: str, value: Node) -> str | None:
        """How a value of this kind would say what somebody wrote as ``{word: value}``; None where that is not known."""
        return None

    @abstractmethod
    def read(self, node: Node, reader: Reader) -> Any:
        """The value of a node; `OPEN` where it depends on a parameter without a value. Errors go to the reader."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The kind as JSON Schema, draft 7."""


#: what stands for a parameter in a schema, where a number or another word is wanted
PARAMETER = {"type": "string", "pattern": r"^\$(\w+|\{\w+\})$"}


@dataclass(frozen=True, slots=True)
class _Scalar(Kind):
    """A scalar that `fits`."""

    what: str
    fits: Callable[[Any], bool]
    json: dict[str, Any]
    convert: Callable[[Any], Any] = lambda value: value

    def read(self, node: Node, reader: Reader) -> Any:
        from surgery.fields.reader import OPEN

        value = reader.scalar(node) if isinstance(node, Scalar) else node
        if value is OPEN:
            return OPEN
        if isinstance(value, Node) or not self.fits(value):
            reader.report(
                "wrong-type", f"{self.what} stands here, not {describe(value)}", node.span, _advice(self, value)
            )
            return None
        return self.convert(value)

    def schema(self) -> dict[str, Any]:
        if self.json.get("type") == "string":
            return self.json
        return {"anyOf": [self.json, PARAMETER]}


def _advice(kind: _Scalar, value: Any) -> tuple[str, ...]:
    if kind.json.get("type") == "string" and isinstance(value, bool | int | float):
        return ("in quotes it is a string",)
    return ()


def describe(value: Any) -> str:
    """A value in words: ``the number 3``, ``a list``."""
    match value:
        case MapNode() | dict():
            return "a mapping"
        case ListNode() | list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case "":
            return "an empty text"
        case str():
            return f"the text `{value}`"
    return f"an object of type {type(value).__name__}"


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


boolean = _Scalar("true or false", lambda v: isinstance(v, bool), {"type": "boolean"})
integer = _Scalar("an integer", _is_integer, {"type": "integer"})
number = _Scalar("a number", _is_number, {"type": "number"}, float)
string = _Scalar("a text", lambda v: isinstance(v, str), {"type": "string"})
#: a key, spelled out: ``model.head.weight``
key = _Scalar(
    "a key", lambda v: isinstance(v, str) and bool(v) and "" not in v.split("."), {"type": "string", "minLength": 1}
)


@dataclass(frozen=True, slots=True)
class one_of(Kind):
    """One of some words."""

    about: ClassVar[str] = "one of the words listed"

    words: Iterable[str]

    def __init__(self, *words: str) -> None:
        object.__setattr__(self, "words", words)

    def read(self, node: Node, reader: Reader) -> Any:
        from surgery.fields.reader import OPEN

        value = reader.scalar(node) if isinstance(node, Scalar) else node
        if value is OPEN or (isinstance(value, str) and value in self.words):
            return value
        *most, last = (f"`{word}`" for word in self.words)
        listed = f"{', '.join(most)} or {last}" if most else last
        near = did_you_mean(value, self.words) if isinstance(value, str) else None
        reader.report("wrong-type", f"{listed} stands here, not {describe(value)}", node.span, (near,) if near else ())
        return None

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.words)}, PARAMETER]}


@dataclass(frozen=True, slots=True)
class name_in(one_of):
    """A name of a registry, which is looked through where it is needed and not before."""

    def __init__(self, registry: Registry[Any]) -> None:
        object.__setattr__(self, "words", registry)


@dataclass(frozen=True, slots=True)
class list_of(Kind):
    """A list of values of one kind, as a tuple; one value alone is a list of one."""

    item: Kind

    def read(self, node: Node, reader: Reader) -> Any:
        return tuple(self.item.read(item, reader) for item in reader.items(node))

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.item.schema(), {"type": "array", "items": self.item.schema()}]}


@dataclass(frozen=True, slots=True)
class mapping_of(Kind):
    """A mapping from strings to values of one kind, as a tuple of triples: key node, key, value."""

    item: Kind
    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Any:
        if not isinstance(node, MapNode):
            reader.report("wrong-type", "a mapping stands here", node.span)
            return None
        return tuple((key, str(key.value), self.item.read(value, reader)) for key, value in node.pairs)

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.item.schema()}


@dataclass(frozen=True, slots=True)
class either(Kind):
    """The first of some kinds that takes the value; where none does, the first one's error counts."""

    kinds: tuple[Kind, ...]

    def __init__(self, *kinds: Kind) -> None:
        object.__setattr__(self, "kinds", kinds)

    def read(self, node: Node, reader: Reader) -> Any:
        errors = None
        before = len(reader.diagnostics)
        for kind in self.kinds:
            value = kind.read(node, reader)
            found = reader.diagnostics[before:]
            if not found:
                return value
            errors = errors or found
            del reader.diagnostics[before:]
        reader.diagnostics.extend(errors or ())
        return None

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [kind.schema() for kind in self.kinds]}


@dataclass(frozen=True, slots=True)
class _Anything(Kind):
    """Any value: numbers, text, lists, mappings."""

    def read(self, node: Node, reader: Reader) -> Any:
        match node:
            case Scalar():
                return reader.scalar(node)
            case ListNode(items=items):
                return [self.read(item, reader) for item in items]
            case MapNode(pairs=pairs):
                return {str(key.value): self.read(value, reader) for key, value in pairs}
        raise AssertionError(node)

    def schema(self) -> dict[str, Any]:
        return {}


anything = _Anything()
