"""Types of parameters: what each takes from a command line and from Python, and its JSON Schema."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from surgery.document.resolve import resolve
from surgery.tensors.dtype import DTYPES

__all__ = ["TYPES", "ParamType", "type_of"]


@dataclass(frozen=True, slots=True, eq=False)
class ParamType:
    """A type of parameter.

    Attributes:
        name: what a recipe calls it.
        what: a value of it, in words.
        several: values of it, in words.
        schema: such values as JSON Schema, draft 7.
        from_text: the value that a text on the command line stands for.
        from_python: a value given from Python, in the form in which a recipe could hold it.
    """

    name: str
    what: str
    several: str
    schema: Mapping[str, Any]
    from_text: Callable[[str], Any]
    from_python: Callable[[Any], Any]

    def __repr__(self) -> str:
        return self.name


def _literal(text: str) -> Any:
    """A text as YAML reads it; one that is no literal, or too large, stays a text."""
    try:
        return resolve(text.strip())
    except OverflowError:
        return text


def _integer(value: Any) -> Any:
    """Whole numbers of other libraries, and 3.0, are integers too."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) else value
    try:
        return operator.index(value)
    except TypeError:
        return value


def _number(value: Any) -> Any:
    value = _integer(value)
    if not isinstance(value, int | float) and hasattr(value, "__float__") and getattr(value, "ndim", 0) == 0:
        return float(value)
    return value


def _path(value: Any) -> Any:
    found = os.fspath(value) if isinstance(value, os.PathLike) else value
    return os.fsdecode(found) if isinstance(found, bytes) else found


def _torch_name(value: Any) -> Any:
    """``torch.float32`` as ``float32``, ``torch.device("cpu")`` as ``cpu``."""
    return str(value).removeprefix("torch.") if type(value).__module__ == "torch" else value


def _same(value: Any) -> Any:
    return value


_ALL = [
    ParamType("integer", "an integer", "integers", {"type": "integer"}, _literal, _integer),
    ParamType("number", "a number", "numbers", {"type": "number"}, _literal, _number),
    ParamType("string", "a text", "texts", {"type": "string"}, _same, _same),
    ParamType("boolean", "true or false", "booleans", {"type": "boolean"}, _literal, _same),
    ParamType("path", "a path", "paths", {"type": "string", "minLength": 1}, _same, _path),
    ParamType("dtype", "a dtype", "dtypes", {"enum": list(DTYPES)}, _same, _torch_name),
    ParamType(
        "device", "a device", "devices", {"type": "string", "pattern": r"^[a-z]+(:[0-9]+)?$"}, _same, _torch_name
    ),
]

#: name -> type, for every type that a parameter can have
TYPES: dict[str, ParamType] = {each.name: each for each in _ALL}


def type_of(value: Any) -> ParamType | None:
    """The type of a default; None where it has none that parameters know.

    >>> [type_of(value).name for value in (True, 3, 0.5, "a")]
    ['boolean', 'integer', 'number', 'string']
    """
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kind):
            return TYPES[name]
    return None
