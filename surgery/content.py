"""The top level of a recipe: the words it may hold, and what each of them is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.cases import Case, cases
from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.expect import Expect, expect
from surgery.fields import OPEN, Kind, Reader, integer, option
from surgery.fields.kinds import describe
from surgery.params.schema import declarations_schema
from surgery.sinks.base import Output
from surgery.sinks.kind import output
from surgery.sources.base import Source
from surgery.sources.kind import source
from surgery.steps.sequence import PlacedStep, steps

__all__ = ["FORMAT", "Content", "read_content"]

#: the format version that this program reads
FORMAT = 1
_SEGMENT = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class _Version(Kind):
    """The format version."""

    def read(self, node: Node, reader: Reader) -> int:
        value = node.value if isinstance(node, Scalar) else node
        if value != FORMAT or isinstance(value, bool):
            note = f"this version of surgery reads `surgery: {FORMAT}`"
            what = f"format {value}" if isinstance(value, int) and value is not True else describe(value)
            reader.report("format-version", f"{what} cannot be read", node.span, (note,))
        return FORMAT

    def schema(self) -> dict[str, Any]:
        return {"const": FORMAT}


@dataclass(frozen=True, slots=True)
class _Words(Kind):
    """Text for people, in which a dollar sign is a dollar sign."""

    def read(self, node: Node, reader: Reader) -> str:
        if isinstance(node, Scalar) and node.value is not None:
            return node.text.value.strip()
        reader.report("wrong-type", f"a text stands here, not {describe(node)}", node.span)
        return ""

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class _Params(Kind):
    """The declarations of the parameters, which are read before everything else."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> None:
        return None

    def schema(self) -> dict[str, Any]:
        return declarations_schema()


@dataclass(frozen=True, slots=True)
class _Seed(Kind):
    """An integer that a generator takes."""

    def read(self, node: Node, reader: Reader) -> Any:
        value = integer.read(node, reader)
        if isinstance(value, int) and value < 0:
            reader.report("wrong-type", "a seed is not negative", node.span)
        return 0 if value is OPEN else value

    def schema(self) -> dict[str, Any]:
        return integer.schema()


@dataclass(frozen=True, slots=True)
class _Sources(Kind):
    """Sources by name; each name is a segment that the keys of its source begin with."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Mapping[str, Source]:
        if not isinstance(node, MapNode) or not node.pairs:
            note = "`sources: {a: …, b: …}`"
            reader.report("wrong-type", "a mapping from names to sources stands here", node.span, (note,))
            return {}
        found = {}
        for key, value in node.pairs:
            if not _SEGMENT.fullmatch(str(key.value)):
                note = "it becomes the first segment of its keys: letters, digits, `_` and `-`"
                reader.report("source", f"`{key.value}` cannot name a source", key.span, (note,))
            read = source.read(value, reader)
            if read is not None:
                found[str(key.value)] = read
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": source.schema(), "minProperties": 1}


@dataclass(frozen=True, slots=True)
class Content:
    """A recipe: a source, steps in order, an output. Every word may be left out."""

    surgery: int = option(_Version(), default=FORMAT, help="the version of the recipe format")
    name: str = option(_Words(), default="", help="what the recipe is called")
    description: str = option(_Words(), default="", help="what it does, for people")
    params: None = option(_Params(), help="what the caller may choose: name -> default, or type, default, help, …")
    seed: int = option(_Seed(), default=0, help="of everything that is drawn")
    source: Source | None = option(source, help="where the tensors come from")
    sources: Mapping[str, Source] | None = option(_Sources(), help="several sources; keys begin with their names")
    steps: tuple[PlacedStep, ...] = option(steps, default=(), help="what is done, in order")
    output: tuple[Output, ...] = option(output, default=(), help="where the result goes")
    expect: Expect | None = option(expect, help="what the result must be")
    tests: tuple[Case, ...] = option(cases, default=(), help="cases that `surgery test` tries")


def read_content(node: Node, reader: Reader) -> Content | None:
    """The content of a recipe: a mapping, or its steps alone. None where something was wrong, which is reported."""
    if isinstance(node, ListNode):
        return Content(steps=steps.read(node, reader))
    if not isinstance(node, MapNode):
        is_empty = isinstance(node, Scalar) and node.value is None and not node.quoted
        given = "the recipe is empty" if is_empty else f"a recipe is a mapping, not {describe(_value(node))}"
        note = '`steps: [{rename: "module.** -> **"}]` would be one'
        reader.report("wrong-type", given, node.span, (note,))
        return None
    both = node.key("sources")
    if both is not None and "source" in node:
        note = "several sources are all named under `sources`"
        reader.report("source", "`source` and `sources` stand here together", both.span, (note,))
    return reader.fields(Content, node)


def _value(node: Node) -> Any:
    return node.value if isinstance(node, Scalar) else node
