"""Lines in which quotes are missing, and how they should be.

A correction is offered only where the line by itself is wrong and the corrected line by itself is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import yaml

from surgery.document.resolve import looks_like_a_string

__all__ = ["Correction", "correct", "quote"]

# `- key: value # comment`, any part of which may be missing but the value
_LINE = re.compile(
    r"""(?P<before>\s*(?:-\s+)*(?:(?:"[^"]*"|'[^']*'|[^\s\#:"'\[\]{},&*!|>%@`-][^:\#]*?)\s*:\s+)?)
        (?P<value>\S.*?)
        (?P<comment>\s+\#.*)?\s*$""",
    re.VERBOSE,
)
_FLOW_PAIR = re.compile(r"""\s*(?P<key>[\w.-]+|"[^"]*"|'[^']*')\s*:\s+(?P<value>.+?)\s*$""", re.DOTALL)
_FLOW_SPLIT = re.compile(r",(?=\s*(?:[\w.-]+|\"[^\"]*\"|'[^']*')\s*:\s)")
_QUOTED = re.compile(r"""\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*""")
# closing brackets, a list, an empty key, a block, a standard tag, a directive, the bounds of a document
_MEANT = re.compile(r"[)\]},]|-\s|:(?:\s|$)|[|>][-+0-9]*(?:\s|$)|!!|%(?:YAML|TAG)\s|---|\.\.\.$")
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Correction:
    """A line as it should be; the text that lacks quotes stands at `column`, and is `length` long."""

    line: str
    column: int
    length: int

    @property
    def note(self) -> str:
        """The corrected line, for the note under an error."""
        return f"with quotes: {self.line.strip()}"


def quote(text: str) -> str:
    r"""`text` in quotes: double ones, or single ones where it holds double quotes or backslashes.

    >>> print(quote("**.a -> b"), quote('"odd name" -> x'))
    "**.a -> b" '"odd name" -> x'
    """
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def correct(line: str) -> Correction | None:
    """The line with the quotes that it lacks; None where something else is wrong with it, or nothing."""
    if len(line) > _LONGEST or _reads(line):
        return None
    return next((found for found in _candidates(line) if _reads(found.line)), None)


def _reads(line: str) -> bool:
    """Whether a line by itself is YAML whose flow collections are whole."""
    try:
        events = list(yaml.parse(line.strip() + "\n", Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return False
    for event in events:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None):
            return False
    return not _is_cut(events)


def _is_cut(events: list[yaml.Event]) -> bool:
    """Whether a comma cut a plain scalar: it has brackets without partners, or an arrow and no value."""
    scalars = [e for e in events if isinstance(e, yaml.ScalarEvent)]
    for event, after in zip_longest(scalars, scalars[1:]):
        text = "" if event.style else event.value
        if text.count("(") != text.count(")") or text.startswith(tuple(")]}")):
            return True
        lonely = after is not None and not after.value and not after.style
        if lonely and ("->" in text or "→" in text):
            return True
    return False


def _candidates(line: str) -> Iterator[Correction]:
    match = _LINE.match(line)
    if match is None:
        return
    value, before = match["value"], match["before"]
    after = match["comment"] or ""
    if value.startswith("{") and value.endswith("}"):
        yield from _in_flow(value, before, after)
    if value.startswith("[{") and value.endswith("}]"):
        yield from _in_flow(value[1:-1], f"{before}[", f"]{after}")
    text = _without_outer(value)
    if text is not None:
        yield Correction(f"{before}{quote(text)}{after}", len(before), len(value))
    if _may_be_quoted(value):
        yield Correction(f"{before}{quote(value)}{after}", len(before), len(value))


def _without_outer(value: str) -> str | None:
    """A rule whose quotes are also inside it, without the outer ones; None where these do not belong together.

    >>> print(_without_outer('"q -> q via rearrange("a b -> b a")"'), _without_outer('"odd name" -> "b"'))
    q -> q via rearrange("a b -> b a") None
    """
    if len(value) < 3 or value[0] not in "\"'" or value[-1] != value[0]:
        return None
    outside = value[1:-1].split(value[0])[::2]
    return value[1:-1] if any("->" in text or "→" in text for text in outside) else None


def _may_be_quoted(value: str) -> bool:
    """Not what YAML means it to be, nor what goes on in the next line: an open quote or bracket, or what closes one."""
    if _MEANT.match(value):
        return False
    if value[0] in "\"'":
        return bool(_QUOTED.match(value))
    return value[0] not in _PAIRS or _is_balanced(value)


def _is_balanced(text: str) -> bool:
    return all(text.count(opening) == text.count(closing) for opening, closing in _PAIRS.items())


def _in_flow(value: str, before: str, after: str) -> Iterator[Correction]:
    """Quotes around the values of a flow mapping that need them."""
    parts, first, at = [], None, len(before) + 1
    for piece in _FLOW_SPLIT.split(value[1:-1]):
        pair = _FLOW_PAIR.match(piece)
        if pair is None:
            return
        text = pair["value"]
        if _needs_quotes(text):
            if first is None:
                first = (at + pair.start("value"), len(text))
            parts.append(piece[: pair.start("value")] + quote(text) + piece[pair.end("value") :])
        else:
            parts.append(piece)
        at += len(piece) + 1
    if first is not None:
        yield Correction(f"{before}{{{','.join(parts)}}}{after}", *first)


def _needs_quotes(text: str) -> bool:
    if _QUOTED.fullmatch(text) or not looks_like_a_string(text) or not _is_balanced(text):
        return False
    if text[0] in "[{":
        return not _reads(text)
    return bool(set(text) & set("[]{},")) or text[0] in "*&!%@`\"'|>" or ": " in text or " #" in text
