"""Parameters into forms: ``$name`` becomes the value that the caller gave. Nothing is parsed again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from surgery.lang.build.words import BuildError
from surgery.lang.expression import Const, Expression, ListOf, Parameter, describe
from surgery.lang.path import Literal, ParameterText, Path
from surgery.lang.template import Template

__all__ = ["bind", "parameters"]


def parameters(form: Any) -> Iterator[tuple[str, tuple[int, int]]]:
    """The parameters that a form names, and the characters where each stands."""
    if isinstance(form, Parameter | ParameterText):
        yield form.name, form.at
    elif isinstance(form, tuple):
        for item in form:
            yield from parameters(item)
    elif dataclasses.is_dataclass(form):
        for field in dataclasses.fields(form):
            if field.name not in ("at", "source", "parameters"):
                yield from parameters(getattr(form, field.name))


def bind(form: Any, values: Mapping[str, Any]) -> Any:
    """`form` with its parameters replaced by `values`; forms without parameters come back as they are.

    Raises:
        BuildError: a value that cannot stand in a key, or leaves nothing of it.
    """
    if isinstance(form, Parameter):
        return constant(values[form.name], form.at)
    if isinstance(form, Path):
        return dataclasses.replace(form, segments=_segments(form.segments, values))
    if isinstance(form, Template):
        return dataclasses.replace(form, segments=_segments(form.segments, values))
    if isinstance(form, tuple):
        bound = tuple(bind(item, values) for item in form)
        return form if all(a is b for a, b in zip(form, bound, strict=True)) else bound
    if dataclasses.is_dataclass(form):
        changes = {}
        for field in dataclasses.fields(form):
            if field.name in ("at", "source", "parameters"):
                continue
            old = getattr(form, field.name)
            new = bind(old, values)
            if new is not old:
                changes[field.name] = new
        return dataclasses.replace(form, **changes) if changes else form  # type: ignore[type-var]
    return form


def constant(value: Any, at: tuple[int, int]) -> Expression:
    """A value as an expression: a literal argument."""
    if isinstance(value, list | tuple):
        return ListOf(tuple(constant(item, at) for item in value), at=at)
    return Const(value, at=at)


def _segments(segments: tuple[Any, ...], values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Segments with parameter text put in: its dots separate segments, and where it is empty its dot goes too."""
    found = _with_text(segments, values)
    if not found:
        at = (segments[0].at[0], segments[-1].at[1])
        raise BuildError("nothing is left of this key: the parameter is empty", at, code="parameter")
    return found


def _with_text(segments: tuple[Any, ...], values: Mapping[str, Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for segment in segments:
        parts = [_part(part, values) for part in segment.parts]
        if not any(isinstance(part, list) for part in parts):
            same = all(a is b for a, b in zip(parts, segment.parts, strict=True))
            found.append(segment if same else dataclasses.replace(segment, parts=tuple(parts)))
            continue
        if all(part == [""] for part in parts):
            continue
        rows: list[list[Any]] = [[]]
        for part in parts:
            if isinstance(part, list):
                rows[-1].append(Literal(part[0], segment.at))
                rows.extend([Literal(text, segment.at)] for text in part[1:])
            else:
                rows[-1].append(part)
        for index, row in enumerate(rows):
            types = {"types": segment.types} if hasattr(segment, "types") and index == len(rows) - 1 else {}
            found.append(type(segment)(parts=_merged(row), at=segment.at, **types))
    return tuple(found)


def _part(part: Any, values: Mapping[str, Any]) -> Any:
    """A part with its parameters bound; parameter text as a list of segments."""
    if isinstance(part, ParameterText):
        text = key_text(values[part.name], part)
        segments = text.split(".")
        if len(segments) > 1 and "" in segments:
            raise BuildError(f"`${part.name}` is `{text}`, a key with an empty segment", part.at, code="parameter")
        return segments
    return bind(part, values)


def _merged(parts: list[Any]) -> tuple[Any, ...]:
    merged: list[Any] = []
    for part in parts:
        if isinstance(part, Literal) and merged and isinstance(merged[-1], Literal):
            merged[-1] = Literal(merged[-1].text + part.text, part.at)
        else:
            merged.append(part)
    return tuple(merged)


def key_text(value: Any, part: ParameterText) -> str:
    """A parameter's value as text of a key: true and false as YAML writes them.

    Raises:
        BuildError: it is no text, number or truth value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float | PurePath):
        raise BuildError(f"`${part.name}` is {describe(value)}, not text of a key", part.at, code="parameter")
    return str(value)
