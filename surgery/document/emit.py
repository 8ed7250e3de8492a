"""From plain Python values to YAML text that reads back as the same values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from surgery.diagnostics import fail
from surgery.document.resolve import looks_like_a_string
from surgery.limits import exceeded, limits

__all__ = ["emit", "scalar"]

# what needs no quotes anywhere; a rule is quoted for its looks
_SAFE = re.compile(r"[\w$/(](?:[\w./$()+=~^;<*@|-]|[ ](?!\#)|:(?!\s|$))*(?<!\s)", re.ASCII)
# the same outside of brackets, where commas and brackets are letters like others
_SAFE_IN_BLOCK = re.compile(_SAFE.pattern.replace("[\\w./$", "[\\w,'\\[\\]{}./$"), re.ASCII)
_LINE = re.compile(r"[ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff\t]*")
_WIDTH = 100


def emit(value: Any) -> str:
    """`value` as a YAML document, two blanks a level; texts of several lines become blocks.

    Tuples become lists; paths, dtypes and devices become texts; scalars of numpy become numbers.

    Raises:
        SurgeryError: `wrong-type`, for an object that YAML has no form for, or a key that is not a text.

    >>> print(emit({"steps": [{"rename": "module.** -> **"}], "seed": 0}), end="")
    steps:
      - rename: "module.** -> **"
    seed: 0
    """
    value = _plain(value)
    if isinstance(value, Mapping) and value:
        return "".join(f"{line}\n" for line in _mapping(value, ""))
    if isinstance(value, list) and value:
        return "".join(f"{line}\n" for line in _list(value, ""))
    return f"{_inline(value)}\n"


def _plain(value: Any, depth: int = 0) -> Any:
    """The value in mappings, lists and scalars alone."""
    if depth > limits().nesting:
        message = f"this is nested more than {limits().nesting} deep, or contains itself"
        raise exceeded("nesting", message)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    if type(value).__module__ == "torch" and type(value).__name__ in ("dtype", "device"):
        return str(value).removeprefix("torch.")
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    raise fail("wrong-type", f"an object of type {type(value).__name__} cannot stand in a recipe")


def _key(key: Any) -> str:
    """A key as text; of a whole number its digits, as in accelerate's ``max_memory={0: "10GB"}``."""
    if not isinstance(key, str) and type(key) is not int:
        raise fail("wrong-type", f"a key of a recipe is a text, not {key!r}")
    return str(key)


def _mapping(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _item(f"{indent}{scalar(key)}:", item, indent)


def _list(value: list[Any], indent: str) -> Iterator[str]:
    for item in value:
        if isinstance(item, Mapping) and item and not _fits_inline(item, f"{indent}-"):
            first, *rest = _mapping(item, indent + "  ")
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
        elif isinstance(item, Mapping) and len(item) == 1:
            ((key, inner),) = item.items()
            yield from _item(f"{indent}- {scalar(key)}:", inner, indent + "  ")
        else:
            yield from _item(f"{indent}-", item, indent)


def _item(head: str, value: Any, indent: str) -> Iterator[str]:
    """One value behind its key or hyphen."""
    inner = indent + "  "
    if isinstance(value, Mapping | list) and value and not _fits_inline(value, head):
        yield head
        yield from _mapping(value, inner) if isinstance(value, Mapping) else _list(value, inner)
    elif isinstance(value, str) and _may_be_block(value):
        lines = value.split("\n")
        yield f"{head} |" + ("" if value.endswith("\n") else "-")
        yield from (f"{inner}{line}" if line else "" for line in (lines[:-1] if value.endswith("\n") else lines))
    else:
        yield f"{head} {scalar(value) if isinstance(value, str) else _inline(value)}"


def _fits_inline(value: Any, before: str) -> bool:
    """Whether a short list or mapping of scalars may stand on one line."""
    items = list(value.values()) if isinstance(value, Mapping) else value
    if isinstance(value, Mapping) and len(value) == 1 and isinstance(items[0], Mapping | list):
        return False
    if any(isinstance(item, Mapping | list) or (isinstance(item, str) and "\n" in item) for item in items):
        return False
    return (not isinstance(value, list) and len(before) + len(_inline(value)) < _WIDTH) or all(
        isinstance(item, int | float) for item in items
    )


def _may_be_block(text: str) -> bool:
    lines = text.removesuffix("\n").split("\n")
    plain = all(_LINE.fullmatch(line) and line == line.rstrip() for line in lines)
    return len(lines) > 1 and plain and bool(lines[0]) and not lines[0][0].isspace() and bool(lines[-1])


def _inline(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{scalar(key, in_flow=True)}: {_inline(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_inline(item) for item in value)}]"
    return scalar(value, in_flow=True)


def scalar(value: str | int | float | bool | None, *, in_flow: bool = False) -> str:
    r"""One scalar, quoted where it has to be; inside of brackets that is more often.

    >>> print(scalar("a -> b"), scalar("on"), scalar("1e-3"), scalar("**.a"), scalar(None), scalar("a\x1b"))
    "a -> b" on "1e-3" "**.a" null "a\x1b"
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return _float(float(value))
    safe = _SAFE if in_flow else _SAFE_IN_BLOCK
    if safe.fullmatch(value) and looks_like_a_string(value):
        return str(value)
    if _LINE.fullmatch(value) and ('"' in value or "\\" in value) and "\t" not in value:
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return repr(value)


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char == "\n":
        return "\\n"
    if _LINE.fullmatch(char) and char != "\t":
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
