"""What can be said against a rule before any key is seen."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from surgery.diagnostics import Diagnostic
from surgery.lang.conditions import check_condition
from surgery.lang.expression import Arithmetic, Const, Minus, Name, Parameter, names, walk
from surgery.lang.kinds import KINDS, kinds_disagree
from surgery.lang.path import Capture, Deep, Group, Path, Star
from surgery.lang.rule import Join, KeyTarget, Rule
from surgery.lang.selector import Except, Guarded, Selector, Union, included_paths, paths
from surgery.lang.template import Hole, Mapped, Template
from surgery.suggest import did_you_mean
from surgery.text import Text

__all__ = ["binds", "check_rule", "check_selector"]

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
            found += _check_template(template, rule, source, via)
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


def binds(path: Path) -> tuple[frozenset[str], int, tuple[int, ...]]:
    """What a path gives to the right side: its captures, how many stars, and the sizes of its groups."""
    captures = frozenset(c.name for c in path.captures())
    stars = sum(isinstance(part, Star | Deep) for part in path.parts())
    return captures, stars, tuple(len(part.alternatives) for part in path.parts() if isinstance(part, Group))


def _check_branches(rule: Rule, source: Text) -> Iterator[Diagnostic]:
    if isinstance(rule.left, Join):
        return
    first, *others = included_paths(rule.left)
    for other in others:
        if binds(other) != binds(first):
            message = "every branch of a union on the left of a key rule binds the same captures, stars and groups"
            yield Diagnostic("union-branches", message, source.span(*other.at), (f"the first branch is `{first}`",))


def _left_paths(rule: Rule) -> list[Path]:
    if isinstance(rule.left, Join):
        return [next(iter(included_paths(selector))) for selector in rule.left.selectors]
    return [next(iter(included_paths(rule.left)))]


def _check_template(template: Template, rule: Rule, source: Text, via: bool) -> Iterator[Diagnostic]:
    left = _left_paths(rule)
    captures = {capture.name: capture for path in reversed(left) for capture in reversed(list(path.captures()))}
    yield from _check_stars(template, left[0], source)
    yield from _check_groups(template, left[0], source, via)
    for part in template.parts():
        if isinstance(part, Mapped):
            yield from _check_mapped(part, captures, source)
        elif isinstance(part, Hole):
            yield from _check_hole(part, captures, source, via)


def _check_stars(template: Template, path: Path, source: Text) -> Iterator[Diagnostic]:
    given = [part for part in path.parts() if isinstance(part, Star | Deep)]
    taken = [part for part in template.parts() if isinstance(part, Star | Deep)]
    for index, part in enumerate(taken):
        if index >= len(given):
            message = f"`{part}` has no partner: the left side has {len(given) or 'no'} star{'s' * (len(given) != 1)}"
            yield Diagnostic("star-partner", message, source.span(*part.at))
        elif type(part) is not type(given[index]):
            message = f"star number {index + 1} is `{given[index]}` on the left and `{part}` here"
            yield Diagnostic("star-partner", message, source.span(*part.at))


def _check_groups(template: Template, path: Path, source: Text, via: bool) -> Iterator[Diagnostic]:
    given = [part for part in path.parts() if isinstance(part, Group)]
    taken = [part for part in template.parts() if isinstance(part, Group)]
    if not taken:
        return
    if not given:
        if not via:
            message = "a group on the right side only makes several tensors of one: that takes an operation"
            note = "in `convert`: `… via chunk(dim=0)`"
            yield Diagnostic("group-partner", message, source.span(*taken[0].at), (note,))
        return
    if len(given) != len(taken):
        message = f"{_groups(len(given))} on the left, {_groups(len(taken))} on the right: groups pair in order"
        yield Diagnostic("group-partner", message, source.span(*taken[-1].at))
        return
    for left, right in zip(given, taken, strict=True):
        if len(left.alternatives) != len(right.alternatives):
            message = (
                f"`{left}` has {len(left.alternatives)} alternatives and `{right}` {len(right.alternatives)}: "
                "they pair by position"
            )
            yield Diagnostic("group-partner", message, source.span(*right.at))


def _groups(count: int) -> str:
    return f"{count} group{'s' * (count != 1)}"


def _check_mapped(part: Mapped, captures: dict[str, Capture], source: Text) -> Iterator[Diagnostic]:
    capture = captures.get(part.name)
    if capture is None:
        yield _unknown_capture(part.name, captures, source, part.at)
    elif capture.kind != "one_of":
        message = f"`{part}` maps alternatives, but `{capture}` has none"
        note = f"on the left: `{{{part.name}:q|k|v}}`"
        yield Diagnostic("capture-kind", message, source.span(*part.at), (note,))
    elif len(capture.alternatives) != len(part.alternatives):
        message = f"`{capture}` has {len(capture.alternatives)} alternatives and `{part}` {len(part.alternatives)}"
        yield Diagnostic("group-partner", message, source.span(*part.at))


def _check_hole(part: Hole, captures: dict[str, Capture], source: Text, via: bool) -> Iterator[Diagnostic]:
    expression = part.expression
    for node in walk(expression):
        number = isinstance(node, Const) and type(node.value) is int
        if not number and not isinstance(node, Name | Arithmetic | Minus | Parameter):
            yield Diagnostic("rule-syntax", f"`{node}` cannot stand in a key", source.span(*part.at))
            return
    if not any(isinstance(node, Name | Parameter) for node in walk(expression)):
        note = "captures have names, and are put back by name"
        yield Diagnostic("rule-syntax", f"nothing is captured in `{part}`", source.span(*part.at), (note,))
    for name in names(expression):
        capture = captures.get(name.name)
        if capture is None:
            if not (via and expression is name):
                yield _unknown_capture(name.name, captures, source, name.at)
        elif expression is not name and capture.kind != "int":
            message = f"`{{{name.name}}}` captures {KINDS[capture.kind]}, and arithmetic needs an integer"
            note = f"on the left: `{{{name.name}:int}}`"
            yield Diagnostic("capture-kind", message, source.span(*name.at), (note,))


def _unknown_capture(name: str, captures: dict[str, Any], source: Text, at: tuple[int, int]) -> Diagnostic:
    near = did_you_mean(name, captures)
    have = f"the left side captures {', '.join(f'`{{{c}}}`' for c in captures) or 'nothing'}"
    return Diagnostic(
        "unknown-capture", f"nothing on the left is captured as `{{{name}}}`", source.span(*at), (near or have,)
    )


def _check_create(rule: Rule, source: Text) -> Iterator[Diagnostic]:
    for part in rule.left.parts():
        if isinstance(part, Star | Deep | Hole | Mapped | Group):
            message = f"`{part}` stands for keys that are there; what is created is named in full"
            yield Diagnostic("rule-syntax", message, source.span(*part.at))
    for node in walk(rule.right):
        if isinstance(node, Name) and node is rule.right:
            yield Diagnostic("rule-syntax", f"`{node}` takes arguments: `{node}(…)`", source.span(*node.at))
