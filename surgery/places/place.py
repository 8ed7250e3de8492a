"""A place of a recipe: a path or an address, and what is known of what lies there."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import Span
from surgery.document import MapNode, Node, Scalar
from surgery.fields import Kind, Reader, either, main, mapping_of, one_of, option, string
from surgery.tensors.device import is_device, numbered

__all__ = ["Place", "place"]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class _Device(Kind):
    """A device: ``cpu``, ``cuda:0``."""

    def read(self, node: Node, reader: Reader) -> Any:
        value = string.read(node, reader)
        if isinstance(value, str) and not is_device(value):
            note = "such as `cpu`, `cuda`, `cuda:1` or `mps`"
            reader.report("wrong-type", f"`{value}` is no device", node.span, (note,))
            return None
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class _Digest(Kind):
    """A SHA-256 digest: 64 hexadecimal digits."""

    def read(self, node: Node, reader: Reader) -> Any:
        value = string.read(node, reader)
        if isinstance(value, str) and not _SHA256.fullmatch(value):
            reader.report(
                "wrong-type", "64 hexadecimal digits stand here", node.span, ("`sha256sum FILE` prints them",)
            )
            return None
        return value.lower() if isinstance(value, str) else value

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a checkpoint is: a path or an address, alone or with what else is to be said.

    Attributes:
        base: the directory that a relative path is relative to; None for the recipe's own.
        span: its place in the recipe.
    """

    path: str = main(string, help="a path, `package://pkg/file`, `https://…` or `hf://org/repo[@rev]/file`")
    sha256: str | None = option(_Digest(), help="the digest that the file must have")
    entry: str | None = option(string, help="where in the file the state dict stands: `model` or `ema or model`")
    separator: str | None = option(string, help="what stands between the segments of a key, if that is no dot")
    map_location: Any = option(
        either(_Device(), mapping_of(_Device())),
        help="a device for the tensors, or: device that they were saved from -> device",
    )
    trust: str | None = option(
        one_of("data", "pickle"), help="`pickle`: the pickled module itself, if the caller allows it; `data`: never"
    )
    base: str | None = None
    span: Span | None = None

    def device(self, saved: str) -> str | None:
        """Where a tensor that was saved from the device `saved` goes; None for the CPU.

        Without `map_location` that is the CPU. Of a mapping, a device that it does not name stays what it was, as
        ``torch.load`` has it; and ``cuda`` is another word for ``cuda:0``.
        """
        target = self.map_location
        if isinstance(target, tuple):
            target = next((to for _, at, to in target if numbered(at) == numbered(saved)), saved)
        return None if target in (None, "cpu") else numbered(target)

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class _Place(Kind):
    """A place: text, or a mapping with ``path`` in it."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Any:
        read = reader.fields(Place, node)
        if read is None:
            return None
        path = node.get("path") if isinstance(node, MapNode) else node
        if not isinstance(path, Scalar):
            return read
        if isinstance(read.path, str) and (not read.path or "\0" in read.path):
            reader.report("wrong-type", "a path or an address stands here", path.span)
            return None
        return dataclasses.replace(read, base=reader.directory_of(path), span=path.span)

    def schema(self) -> dict[str, Any]:
        from surgery.fields import fields_of

        properties = {f.name: {"description": f.help, **f.kind.schema()} for f in fields_of(Place)}
        whole = {"type": "object", "properties": properties, "additionalProperties": False, "required": ["path"]}
        return {"anyOf": [{"type": "string"}, whole]}


#: a place of a recipe
place = _Place()
