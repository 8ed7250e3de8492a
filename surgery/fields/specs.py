"""Tensors as a field: keys, each with a shape, and with a dtype where that is not float32."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from surgery.diagnostics import fail
from surgery.document import ListNode, MapNode, Node, Scalar
from surgery.fields.kinds import Kind, describe
from surgery.fields.reader import OPEN, Reader
from surgery.limits import exceeded, limits
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES, dtype_called
from surgery.tensors.spec import Spec
from surgery.wording import counted

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
            given = describe(_plain(node))
            reader.report("wrong-type", f"keys with shapes stand here, not {given}", node.span, (note,))
            return None
        found: dict[str, Spec] = {}
        for key, value in node.pairs:
            spec = self._spec(value, reader)
            pattern = str(key.value)
            count = _count(pattern)
            if not 0 < count <= limits().tensors:
                message = f"`{pattern}` stands for {counted(count, 'key')}"
                error = (
                    exceeded("tensors", message, key.span, needed=count)
                    if count
                    else fail("wrong-type", message, key.span)
                )
                reader.diagnostics.extend(error.diagnostics)
                continue
            for name in expanded(pattern):
                if name in found or "" in name.split("."):
                    why = "stands here twice" if name in found else "is no key"
                    reader.report("wrong-type", f"`{name}` {why}", key.span)
                    break
                if spec is not None:
                    found[name] = spec
        return found

    def _spec(self, node: Node, reader: Reader) -> Spec | None:
        if not isinstance(node, MapNode):
            return self._shaped(node, "float32", reader)
        for key, _ in node.pairs:
            if key.value not in ("shape", "dtype"):
                reader.unknown_word(str(key.value), key, ("shape", "dtype"))
                return None
        shape, dtype = node.get("shape"), node.get("dtype")
        if shape is None:
            reader.report("missing-word", "`shape` is missing here", node.span)
            return None
        return self._shaped(shape, self._dtype(dtype, reader) if dtype is not None else "float32", reader)

    def _shaped(self, node: Node, dtype: str, reader: Reader) -> Spec | None:
        sizes = [_size(item, reader) for item in node.items] if isinstance(node, ListNode) else [None]
        if any(size is None for size in sizes):
            what = "sizes are integers, none below 0" if isinstance(node, ListNode) else "a shape stands here"
            given = "" if isinstance(node, ListNode) else f", not {describe(_plain(node))}"
            reader.report("wrong-type", f"{what}{given}", node.span, ("such as `[10, 512]`",))
            return None
        return Spec(tuple(size for size in sizes if size is not None), DTYPES[dtype])

    def _dtype(self, node: Node, reader: Reader) -> str:
        word = reader.scalar(node) if isinstance(node, Scalar) else node
        if word is OPEN or (isinstance(word, str) and word in DTYPES):
            return "float32" if word is OPEN else str(word)
        meant = dtype_called(word) if isinstance(word, str) else None
        near = f"did you mean `{meant}`?" if meant else did_you_mean(str(_plain(node)), DTYPES)
        given = describe(_plain(node))
        reader.report("wrong-type", f"a dtype stands here, not {given}", node.span, (near,) if near else ())
        return "float32"

    def schema(self) -> dict[str, Any]:
        words = {
            "shape": {"description": "the shape", **_SHAPE},
            "dtype": {"description": "the dtype; float32 if left out", "type": "string", "enum": list(DTYPES)},
        }
        spec = {"type": "object", "properties": words, "additionalProperties": False, "required": ["shape"]}
        either = {"if": {"type": "object"}, "then": spec, "else": _SHAPE}
        return {"type": "object", "additionalProperties": either}


def _size(node: Node, reader: Reader) -> int | None:
    """A size; 0 where it depends on a parameter, None where it is none."""
    value = reader.scalar(node) if isinstance(node, Scalar) else None
    if value is OPEN:
        return 0
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _plain(node: Node) -> Any:
    return node.value if isinstance(node, Scalar) else node


#: tensors by key: their shapes and dtypes
specs = _Specs()
