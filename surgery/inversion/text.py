"""Rules and keys as people write them."""

from __future__ import annotations

import re

__all__ = ["plain_parameters", "rule_text"]

#: a rule that is longer is broken before its arrow, and before `via`
_WIDTH = 100
_PARAMETER = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\$\{(?P<name>\w+)\}(?!\w)""")


def plain_parameters(text: str) -> str:
    """A form as text, in which a parameter is ``$name`` wherever the braces are not needed.

    >>> plain_parameters('${prefix}.x -> ${a}b via split([${n}])')
    '$prefix.x -> ${a}b via split([$n])'
    """
    return _PARAMETER.sub(lambda found: f"${found['name']}" if found["name"] else found.group(), text)


def rule_text(left: str, right: str, via: str, *, block: bool) -> str:
    """A rule; in a block it is broken where it is long, and each later line is set in."""
    first = f"{left} -> {right}"
    whole = f"{first} via {via}" if via else first
    if not block or len(whole) <= _WIDTH:
        return whole
    second = f"-> {right} via {via}" if via else f"-> {right}"
    if len(second) + 2 <= _WIDTH + 20:
        return f"{left}\n  {second}"
    return f"{left} -> {right}\n  via {via}" if len(first) <= _WIDTH else f"{left}\n  -> {right}\n  via {via}"
