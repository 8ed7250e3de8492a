"""Tensors as a field: keys, each with a shape, and with a dtype where that is not float32."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.fields.kinds import Kind, describe
from surgery.fields.reader import OPEN, Reader
from surgery.limits import limits
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES, dtype_called
from surgery.tensors.spec import Spec

__all__ = ["expanded", "specs"]

_GROUP = re.compile(r"\(([^()]*)\)")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_SHAPE = {"type": "array", "items": {"type": "integer"}}


def expanded(pattern: str) -> Iterator[str]:
    """The keys that a pattern stands for: ``(q|k|v)`` is each alternative in turn, ``(0..3)`` each number.

    A key in double quotes is just that.

    >>> list(expanded("layers.(0..1).(q|k).weight"))
    ['layers.0.q.weight', 'layers.0.k.weight', 'layers.1.q.weight', 'layers.1.k.weight']
    """
    if len(pattern) > 1 and pattern[0] == pattern[-1] == '"':
        yield pattern[1:-1]
        return
    pieces = _GROUP.split(pattern)
    choices = [[piece] if number % 2 == 0 else list(_choices(piece)) for number, piece in enumerate(pieces)]
    yield from ("".join(chosen) for chosen in itertools.product(*choices))


def _choices(group: str) -> Iterator[str]:
    for word in group.split("|"):
        bounds = _RANGE.fullmatch(word)
        if bounds:
            yield from map(str, range(int(bounds[1]), int(bounds[2]) + 1))
        else:
            yield word


def _count(pattern: str) -> int:
    """How many keys a pattern stands for, none of them made."""
    words = (group.split("|") for group in _GROUP.findall(pattern))
    return prod(sum(_length(word) for word in group) for group in words)


def _length(word: str) -> int:
    bounds = _RANGE.fullmatch(word)
    return max(0, int(bounds[2]) - int(bounds[1]) + 1) if bounds else 1


@dataclass(frozen=True, slots=True)
class _Specs(Kind):
    """A mapping from keys to shapes, or to ``{shape: […], dtype: float16}``."""

    about: ClassVar[str] = "key -> shape, or `{shape: […], dtype: float16}`; `(q|k|v)` and `(0..3)` in a key repeat it"
    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Mapping[str, Spec] | None:
        if not isinstance(node, MapNode):
            note = "such as `{fc.weight: [10, 512], fc.bias: [10]}`"
            reader.report(
                "wrong-type", f"keys with shapes stand here, not {describe(_plain(node))}", node.span, (note,)
            )
            return None
        found: dict[str, Spec] = {}
        for key, value in node.pairs:
            spec = self._spec(value, reader)
            pattern = str(key.value)
            if _count(pattern) > limits().tensors:
                reader.report("wrong-type", f"`{pattern}` stands for more than {limits().tensors} keys", key.span)
                continue
            for name in expanded(pattern):
                if name in found or not name or "" in name.split("."):
                    why = "stands here twice" if name in found else "is no key"
                    reader.report("wrong-type", f"`{name}` {why}", key.span)
                    break
                if spec is not None:
                    found[name] = spec
        return found

    def _spec(self, node: Node, reader: Reader) -> Spec | None:
        dtype = "float32"
        shape: Node | None = node
        if isinstance(node, MapNode):
            for key, value in node.pairs:
                if key.value not in ("shape", "dtype"):
                    reader.unknown_word(str(key.value), key, ("shape", "dtype"))
                elif key.value == "dtype":
                    dtype = self._dtype(value, reader)
            shape = node.get("shape")
        if shape is None:
            reader.report("missing-word", "`shape` is missing here", node.span)
            return None
        sizes = (
            [reader.scalar(i) for i in shape.items if isinstance(i, Scalar)] if isinstance(shape, ListNode) else None
        )
        if sizes is None or len(sizes) < len(shape.items) or not all(_is_size(size) for size in sizes):  # type: ignore[attr-defined]
            reader.report(
                "wrong-type", f"a shape stands here, not {describe(_plain(shape))}", shape.span, ("`[10, 512]`",)
            )
            return None
        return Spec(tuple(0 if size is OPEN else size for size in sizes), DTYPES[dtype])

    def _dtype(self, node: Node, reader: Reader) -> str:
        word = reader.scalar(node) if isinstance(node, Scalar) else node
        if isinstance(word, str) and word in DTYPES:
            return word
        meant = dtype_called(word) if isinstance(word, str) else None
        near = (
            f"did you mean `{meant}`?" if meant else did_you_mean(str(word), DTYPES) if isinstance(word, str) else None
        )
        if word is not OPEN:
            reader.report(
                "wrong-type", f"a dtype stands here, not {describe(_plain(node))}", node.span, (near,) if near else ()
            )
        return "float32"

    def schema(self) -> dict[str, Any]:
        dtypes = {"type": "string", "enum": list(DTYPES)}
        spec = {"type": "object", "properties": {"shape": _SHAPE, "dtype": dtypes}, "additionalProperties": False}
        either = {"if": {"type": "object"}, "then": {**spec, "required": ["shape"]}, "else": _SHAPE}
        return {"type": "object", "additionalProperties": either}


def _is_size(size: Any) -> bool:
    return size is OPEN or (isinstance(size, int) and not isinstance(size, bool) and size >= 0)


def _plain(node: Node) -> Any:
    return node.value if isinstance(node, Scalar) else node


#: tensors by key: their shapes and dtypes
specs = _Specs()
