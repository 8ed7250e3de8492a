"""What can be said against a rule before any key is seen."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from surgery.diagnostics import Diagnostic
from surgery.lang.conditions import check_condition
from surgery.lang.expression import Name, walk
from surgery.lang.kinds import KINDS, kinds_disagree
from surgery.lang.path import Capture, Deep, Group, Path, Star
from surgery.lang.rule import Join, KeyTarget, Rule
from surgery.lang.selector import Except, Guarded, Selector, Union, included_paths, paths
from surgery.lang.targets import check_template, left_paths
from surgery.lang.template import Hole, Mapped
from surgery.text import Text

__all__ = ["check_rule", "check_selector"]

_MOST_WAYS = 10_000


def check_rule(rule: Rule, kind: str) -> list[Diagnostic]:
    """Everything that is wrong with a rule of some kind, whatever the keys."""
    source = rule.source
    assert source is not None
    if kind == "create":
        return list(_check_create(rule, source))
    found: list[Diagnostic] = []
    selectors = rule.left.selectors if isinstance(rule.left, Join) else (rule.left,)
    for selector in selectors:
        found += check_selector(selector, source)
    if isinstance(rule.left, Join) and not found:
        found += _check_kinds(rule.left, source)
    if isinstance(rule.left, Join) and rule.left.condition is not None:
        # it is asked of the first of the joined tensors, for what that one captures
        found += check_condition(rule.left.condition, _bound(rule.left.selectors[0]), source)
    if not found and kind in ("key", "tie"):
        templates = rule.right.templates if isinstance(rule.right, KeyTarget) else (rule.right,)
        via = isinstance(rule.right, KeyTarget) and bool(rule.right.operations)
        found += _check_branches(rule, source)
        for template in templates:
            found += check_template(template, left_paths(rule), source, via=via)
    return found


def check_selector(selector: Selector, source: Text) -> list[Diagnostic]:
    """Everything that is wrong with a selector, whatever the keys."""
    found: list[Diagnostic] = []
    for path in paths(selector):
        for segment in path.segments:
            dotted = [a for a in map(_alternatives, segment.parts) if any(len(alternative) > 1 for alternative in a)]
            ways = prod(map(len, dotted))
            if ways > _MOST_WAYS:
                message = f"the groups with dots of this segment have {ways} combinations; {_MOST_WAYS} is the limit"
                found.append(Diagnostic("rule-syntax", message, source.span(*segment.at)))
        found += _check_deep(path, source)
    for guard in _guards(selector):
        found += check_condition(guard.condition, _bound(guard.selector), source)
    found += _check_kinds(selector, source)
    return found


def _alternatives(part: Any) -> tuple[Any, ...]:
    return getattr(part, "alternatives", ())


def _check_kinds(left: Selector | Join, source: Text) -> Iterator[Diagnostic]:
    for capture, first in kinds_disagree(left):
        message = f"`{{{capture.name}}}` was captured as {KINDS[first.kind]} before"
        note = f"the first is `{first}`" if first.alternatives else f"a kind is said the first time: `{capture}`"
        yield Diagnostic("capture-kind", message, source.span(*capture.at), (note,))


def _check_deep(path: Path, source: Text) -> Iterator[Diagnostic]:
    """A capture of whole segments that is repeated beside other text (the first one was refused by the builder)."""
    for segment in path.segments:
        for part in segment.parts if len(segment.parts) > 1 else ():
            if isinstance(part, Capture) and part.kind == "deep":
                message = f"`{{{part.name}}}` captures whole segments: it needs a dot on either side"
                yield Diagnostic("capture-kind", message, source.span(*part.at))


def _bound(selector: Selector) -> dict[str, Capture]:
    """The captures that every branch of a selector binds."""
    branches = [{c.name: c for c in path.captures()} for path in included_paths(selector)]
    return {name: capture for name, capture in branches[0].items() if all(name in b for b in branches)}


def _guards(selector: Selector) -> Iterator[Guarded]:
    if isinstance(selector, Guarded):
        yield selector
        yield from _guards(selector.selector)
    elif isinstance(selector, Union):
        for operand in selector.operands:
            yield from _guards(operand)
    elif isinstance(selector, Except):
        yield from _guards(selector.base)
        yield from _guards(selector.minus)


def _binds(path: Path) -> tuple[frozenset[str], tuple[type, ...], tuple[int, ...]]:
    """What a path gives to the right side: its captures, the kinds of its stars, and the sizes of its groups."""
    captures = frozenset(c.name for c in path.captures())
    stars = tuple(type(part) for part in path.parts() if isinstance(part, Star | Deep))
    return captures, stars, tuple(len(part.alternatives) for part in path.parts() if isinstance(part, Group))


def _check_branches(rule: Rule, source: Text) -> Iterator[Diagnostic]:
    if isinstance(rule.left, Join):
        return
    first, *others = included_paths(rule.left)
    for other in others:
        if _binds(other) != _binds(first):
            message = "every branch of a union on the left of a key rule binds the same captures, stars and groups"
            yield Diagnostic("union-branches", message, source.span(*other.at), (f"the first branch is `{first}`",))


def _check_create(rule: Rule, source: Text) -> Iterator[Diagnostic]:
    for part in rule.left.parts():
        if isinstance(part, Star | Deep | Hole | Mapped | Group):
            message = f"`{part}` stands for keys that are there; what is created is named in full"
            yield Diagnostic("rule-syntax", message, source.span(*part.at))
    for node in walk(rule.right):
        if isinstance(node, Name) and node is rule.right:
            yield Diagnostic("rule-syntax", f"`{node}` takes arguments: `{node}(…)`", source.span(*node.at))
