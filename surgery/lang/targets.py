"""What can be said against the right side of a key rule: partners that are missing, captures that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from surgery.diagnostics import Diagnostic
from surgery.lang.expression import Arithmetic, Const, Minus, Name, Parameter, names, walk
from surgery.lang.kinds import KINDS
from surgery.lang.path import Capture, Deep, Group, Path, Star
from surgery.lang.rule import Join, Rule
from surgery.lang.selector import included_paths
from surgery.lang.template import Hole, Mapped, Template
from surgery.suggest import did_you_mean
from surgery.text import Text

__all__ = ["check_template", "left_paths"]


def left_paths(rule: Rule) -> list[Path]:
    """A path of each selector on the left of a rule: the first branch stands for all of them."""
    if isinstance(rule.left, Join):
        return [next(iter(included_paths(selector))) for selector in rule.left.selectors]
    return [next(iter(included_paths(rule.left)))]


def check_template(template: Template, left: Sequence[Path], source: Text, *, via: bool) -> Iterator[Diagnostic]:
    """What a template takes that the left side does not give; `via` says whether the rule has operations."""
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
            note = "in `convert`: `… via chunk(dim=0)`; in `copy`, a rule for each key"
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


def _check_mapped(part: Mapped, captures: Mapping[str, Capture], source: Text) -> Iterator[Diagnostic]:
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


def _check_hole(part: Hole, captures: Mapping[str, Capture], source: Text, via: bool) -> Iterator[Diagnostic]:
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


def _unknown_capture(name: str, captures: Mapping[str, Capture], source: Text, at: tuple[int, int]) -> Diagnostic:
    near = did_you_mean(name, captures)
    have = f"the left side captures {', '.join(f'`{{{c}}}`' for c in captures) or 'nothing'}"
    return Diagnostic(
        "unknown-capture", f"nothing on the left is captured as `{{{name}}}`", source.span(*at), (near or have,)
    )
