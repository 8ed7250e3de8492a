"""What the author of a recipe says of a rule, in comments beside it."""

from __future__ import annotations

import re

from surgery.lang.rule import Rule

__all__ = ["comments_of"]

_BEHIND = re.compile(r"\s+(#.*)")
_ALONE = re.compile(r"\s*(#.*)")


def comments_of(rule: Rule) -> tuple[tuple[str, ...], str]:
    """The comments above a rule in its block, and the one behind it, in the file that it was parsed from."""
    if rule.source is None:
        return (), ""
    lines = rule.source.file.lines
    first = rule.source.locate(0)[0]
    last, column = rule.source.locate(max(0, len(rule.source.value) - 1))
    if last >= len(lines):
        return (), ""
    behind = _BEHIND.fullmatch(lines[last].rstrip()[column + 1 :])
    above: list[str] = []
    # only in a block of several lines do comments stand among the rules
    while first > 0 and lines[first].lstrip()[:1] not in ("-", "") and (found := _ALONE.fullmatch(lines[first - 1])):
        above.insert(0, found[1].rstrip())
        first -= 1
    return tuple(above), behind[1].rstrip() if behind else ""
