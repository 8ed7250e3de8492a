"""The nodes of a document: scalars, lists and mappings, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from surgery.diagnostics import Span
from surgery.text import Text

__all__ = ["ListNode", "MapNode", "Node", "Scalar", "plain", "texts"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A part of a document; `span` is where it begins."""

    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Scalar(Node):
    """One value.

    Attributes:
        value: a string, integer, float, bool or None, by the core rules of YAML 1.2.
        text: the characters of the value, each with its place, whatever the style it was written in.
        quoted: whether it stood in quotes or in a block, so that it is a string whatever it looks like.
    """

    value: str | int | float | bool | None
    text: Text
    quoted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ListNode(Node):
    """A sequence."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MapNode(Node):
    """A mapping, in the order in which it was written. Keys are strings, and no two are the same."""

    pairs: tuple[tuple[Scalar, Node], ...]

    def get(self, name: str) -> Node | None:
        """The value of `name`, or None."""
        return next((value for key, value in self.pairs if key.value == name), None)

    def key(self, name: str) -> Scalar | None:
        """The key `name` itself, for its place."""
        return next((key for key, _ in self.pairs if key.value == name), None)

    def __contains__(self, name: object) -> bool:
        return any(key.value == name for key, _ in self.pairs)

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        return ((str(key.value), value) for key, value in self.pairs)


def texts(node: Node) -> Iterator[tuple[Scalar, str]]:
    """The scalars in a node whose values are text, but for keys, each with its value; in the order of the document."""
    match node:
        case Scalar(value=str(value)):
            yield node, value
        case ListNode(items=items):
            for item in items:
                yield from texts(item)
        case MapNode(pairs=pairs):
            for _, inner in pairs:
                yield from texts(inner)


def plain(node: Node) -> Any:
    """The node as plain Python values, its places forgotten."""
    match node:
        case Scalar(value=value):
            return value
        case ListNode(items=items):
            return [plain(item) for item in items]
        case MapNode(pairs=pairs):
            return {str(key.value): plain(value) for key, value in pairs}
    raise AssertionError(node)
