"""Arguments of operations: from a call in a recipe to the fields of a dataclass, and back to text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from surgery.ops.base import Op, OpError
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DType

__all__ = ["bound", "call", "places"]

_MISFIT = object()


def _hints(cls: type[Op]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in _fields(cls)}


def _fields(cls: type[Op]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)  # type: ignore[arg-type]  # every operation is a dataclass


def bound(cls: type[Op], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields of `cls` for a call with `args` and `kwargs`; defaults are left to the dataclass."""
    given = _positional(cls, args)
    known = [field.name for field in _fields(cls) if field.name != cls.keywords]
    extra: dict[str, Any] = {}
    for key, value in kwargs.items():
        if key in given:
            many = "; the number of parts follows from the right side" if cls.arity == "split" else ""
            first = f"without a name it is {_names(list(given))}{many}"
            raise OpError(f"`{cls.name}` is given `{key}` twice", key, first, misnamed=True)
        if key in known:
            given[key] = value
        elif cls.keywords:
            extra[key] = _typed(cls, key, value, int)
        else:
            takes = f"; it takes {_names(known)}" if known else "; it takes none"
            raise OpError(f"`{cls.name}` has no argument `{key}`{takes}", key, did_you_mean(key, known), misnamed=True)
    for field in _fields(cls):
        if field.name not in given and field.default is dataclasses.MISSING and field.name != cls.keywords:
            raise OpError(f"`{cls.name}` needs `{field.name}`, {_describe(_hints(cls)[field.name])}", field.name)
    typed = {key: _typed(cls, key, value, _hints(cls)[key]) for key, value in given.items()}
    return typed | ({cls.keywords: tuple(extra.items())} if cls.keywords else {})


def _positional(cls: type[Op], args: Sequence[Any]) -> dict[str, Any]:
    """Positional arguments by the names of their fields."""
    if cls.variadic and args:
        only = args[0] if len(args) == 1 else None
        return {cls.variadic: only if isinstance(only, list | tuple) else list(args)}
    names = places(cls)
    if len(args) > len(names):
        takes = "no arguments" if not names else "one argument" if len(names) == 1 else f"{len(names)} arguments"
        raise OpError(f"`{cls.name}` takes {'at most ' if names else ''}{takes}, not {len(args)}")
    return dict(zip(names, args, strict=False))


def places(cls: type[Op]) -> list[str]:
    """The names of the fields that positional arguments are for, in order; a variadic one takes all."""
    return [cls.variadic] if cls.variadic else [field.name for field in _fields(cls) if field.name != cls.keywords]


def _typed(cls: type[Op], key: str, value: Any, hint: Any) -> Any:
    fitted = _fit(value, hint)
    if fitted is not _MISFIT:
        return fitted
    words = [word for option in _options(hint) if get_origin(option) is Literal for word in get_args(option)]
    near = did_you_mean(value, words) if isinstance(value, str) else None
    raise OpError(f"`{cls.name}` wants {_describe(hint)} for `{key}`, not {_literal(value)}", key, near)


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fit(value: Any, hint: Any) -> Any:
    """`value` as a value of the type `hint`, or `_MISFIT`."""
    for option in _options(hint):
        fitted = _fit_one(value, option)
        if fitted is not _MISFIT:
            return fitted
    return _MISFIT


def _fit_one(value: Any, hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return value if isinstance(value, str) and value in get_args(hint) else _MISFIT
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            return _MISFIT
        items = tuple(_fit(item, get_args(hint)[0]) for item in value)
        return _MISFIT if any(item is _MISFIT for item in items) else items
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and math.isfinite(value) else _MISFIT
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    return value if fits else _MISFIT


_ONE: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "True or False",
    DType: "a dtype",
    NoneType: "None",
}
_MANY: dict[Any, str] = {int: "integers", float: "numbers"}


def _describe(hint: Any) -> str:
    """What a type is called in a message."""
    words: list[str] = []
    for option in _options(hint):
        if get_origin(option) is Literal:
            words.extend(repr(word) for word in get_args(option))
        elif get_origin(option) is tuple:
            words.append(f"a list of {_MANY[get_args(option)[0]]}")
        else:
            words.append(_ONE[option])
    if {"an integer", "a number"} <= set(words):
        words.remove("an integer")
    return _or(words)


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _names(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def call(op: Op) -> str:
    """The shortest call that binds to `op` again: ``chunk``, ``chunk(dim=1)``, ``transpose(0, 1)``."""
    written = ", ".join(_written(op))
    return f"{op.name}({written})" if written else op.name


def _written(op: Op) -> Iterator[str]:
    for field in _fields(type(op)):
        value = getattr(op, field.name)
        if field.name == op.variadic:
            # no sizes at all are sizes too: `reshape([])`
            yield from map(_literal, value or ([] if value == field.default else [[]]))
        elif field.name == op.keywords:
            yield from (f"{key}={_literal(item)}" for key, item in value)
        elif field.default is dataclasses.MISSING:
            yield _literal(value)
        elif value != field.default:
            yield f"{field.name}={_literal(value)}"


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return str(value) if isinstance(value, DType) else repr(value)
