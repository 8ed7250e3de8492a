"""What a case makes: a file, or an object that a caller would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.document import MapNode, Node
from surgery.fields import Kind, Reader, anything, boolean, key, main, option
from surgery.fields.schema import fields_schema
from surgery.sources.base import Source
from surgery.sources.kind import source
from surgery.steps.sequence import PlacedStep, steps

__all__ = ["Made", "made"]


@dataclass(frozen=True, slots=True)
class Made:
    """A model or a state dict: a source alone, or with what becomes of it; or the content of a JSON file.

    Every parameter and buffer of a model is drawn from the seed, so that none is as a fresh layer has it: biases, norms
    and running statistics have values of their own.
    """

    example: ClassVar[str] = (
        "{source: {torchvision: resnet18}, steps: [{rename: '** -> module.**'}], entry: state_dict}"
    )

    habits: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("checkpoint", "keys", "python", "torchvision"), "beside other words it stands in `source: {…}`"
    )

    source: Source | None = main(source, default=None, help="a model or a state dict")
    steps: tuple[PlacedStep, ...] = option(steps, default=(), help="what is done to it first")
    entry: str | None = option(key, help="of a torch file, the container in which the state dict stands")
    draw: bool = option(boolean, default=True, help="whether a model gets drawn values; false keeps its own")
    json: Any = option(anything, help="the content of a JSON file, such as a model's `config.json`")


@dataclass(frozen=True, slots=True)
class _MadeKind(Kind):
    """A source, alone or with `steps` and `entry`; or `json`."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Made | None:
        read = reader.fields(Made, node)
        if read is not None and isinstance(node, MapNode) and (read.source is None) == ("json" not in node):
            what = "a source and `json` stand here together" if read.source else "a source, or `json`, is missing here"
            reader.report("source", what, node.span, (f"as in `{Made.example}`",))
            return None
        return read

    def schema(self) -> dict[str, Any]:
        return fields_schema(Made)


#: what a case makes
made = _MadeKind()
