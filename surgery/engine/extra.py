"""What a checkpoint held for modules beside tensors, as ``set_extra_state`` takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import escape, fail
from surgery.engine.evaluate import materialise
from surgery.engine.reading import SourceFiles
from surgery.formats.contents import Blob, Placeholder, Storage
from surgery.formats.following import following
from surgery.formats.nodes import tensors_in
from surgery.tensors.expr import TensorExpr
from surgery.tensors.subject import Entry, Subject

if TYPE_CHECKING:
    from torch import Tensor

    from surgery.tensors.state import FileState

__all__ = ["extra_state"]


def extra_state(subject: Subject, states: Mapping[str, FileState]) -> dict[str, Any]:
    """Key -> the value, with tensors and bytes read, for each ``_extra_state`` under the names of the result.

    Raises:
        SurgeryError: as `materialise`; code ``unsupported-checkpoint``, where an object of some class stands in it.
    """
    rest = following(subject)
    extra = {k: v for k, v in (rest.extra if rest else {}).items() if k.rpartition(".")[2] == "_extra_state"}
    held = {f"{path[0]} {number}": expr for number, (path, expr) in enumerate(tensors_in(extra))}
    made = materialise({name: Entry(expr) for name, expr in held.items()}, states=states) if held else {}
    tensors = {id(expr): made[name] for name, expr in held.items()}
    with SourceFiles(states) as files:
        return {key: _value(key, node, tensors, files) for key, node in extra.items()}


def _value(key: str, node: Any, tensors: Mapping[int, Tensor], files: SourceFiles) -> Any:
    if isinstance(node, TensorExpr):
        return tensors[id(node)]
    if isinstance(node, Blob):
        data = bytearray(node.range.length)
        files.read_all((node.range,), memoryview(data))
        return bytes(data)
    if isinstance(node, Placeholder | Storage):
        message = f"`{escape(key)}` holds an object that is not made here: {escape(str(node))}"
        note = f"leave it out: `filter: {{drop: {escape(key)}}}`"
        raise fail("unsupported-checkpoint", message, notes=(note,))
    if isinstance(node, Mapping):
        return {name: _value(key, item, tensors, files) for name, item in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_value(key, item, tensors, files) for item in node)
    return node
