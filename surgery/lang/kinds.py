"""A capture that stands twice keeps its kind: ``layers.{i:int}.x | blocks.{i}.x`` captures an integer in both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from surgery.lang.path import Capture, Path, Segment
from surgery.lang.rule import Join
from surgery.lang.selector import Except, Guarded, Selector, Union, paths

__all__ = ["KINDS", "captures_of", "kinds_disagree", "with_kinds"]

#: the kinds of captures in words
KINDS = {"text": "text", "int": "an integer", "deep": "whole segments", "one_of": "an alternative"}


def captures_of(left: Selector | Join) -> Iterator[Capture]:
    """All captures of a left side, in the order in which they are written."""
    selectors = left.selectors if isinstance(left, Join) else (left,)
    return (capture for selector in selectors for path in paths(selector) for capture in path.captures())


def with_kinds(left: Any) -> Any:
    """A left side in which a capture without a kind has that of the first of its name.

    >>> from surgery.lang.parser import parse_selector
    >>> from surgery.text import Text
    >>> str(parse_selector(Text.plain("layers.{i:int} | blocks.{i}")))
    'layers.{i:int} | blocks.{i:int}'
    """
    first: dict[str, Capture] = {}
    for capture in captures_of(left):
        first.setdefault(capture.name, capture)
    if all(capture.kind == "text" for capture in first.values()):
        return left
    return _changed(left, first)


def _changed(form: Any, first: dict[str, Capture]) -> Any:
    match form:
        case Join(selectors=selectors):
            return dataclasses.replace(form, selectors=tuple(_changed(s, first) for s in selectors))
        case Union(operands=operands):
            return Union(tuple(_changed(operand, first) for operand in operands))
        case Except(base=base, minus=minus):
            return Except(_changed(base, first), _changed(minus, first))
        case Guarded(selector=inner):
            return dataclasses.replace(form, selector=_changed(inner, first))
        case Path(segments=segments):
            return dataclasses.replace(form, segments=tuple(_changed(s, first) for s in segments))
        case Segment(parts=parts):
            return dataclasses.replace(form, parts=tuple(_changed(p, first) for p in parts))
        case Capture(name=name, kind="text", at=at):
            return dataclasses.replace(first[name], at=at)
    return form


def kinds_disagree(left: Selector | Join) -> Iterator[tuple[Capture, Capture]]:
    """Captures that change the kind (or the alternatives) that their name had before: the capture, and the first."""
    first: dict[str, Capture] = {}
    for capture in captures_of(left):
        known = first.setdefault(capture.name, capture)
        if (capture.kind, capture.alternatives) != (known.kind, known.alternatives):
            yield capture, known
