"""What the builders share: places of words, literal text, and the error of what parses but makes no sense."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from lark import Token

from surgery.lang import path as pa
from surgery.lang.expression import unquote
from surgery.limits import limit_note, limits

__all__ = ["BlankError", "BuildError", "Place", "adjacent", "alternatives", "joined", "merged", "part", "place"]

#: a range of characters
Place = tuple[int, int]

_ALTERNATIVE = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[^\s|."\']+|[|.]')


class BuildError(Exception):
    """What was parsed makes no sense: a message, and the characters it is about."""

    def __init__(self, message: str, at: Place, note: str | None = None, *, code: str = "rule-syntax") -> None:
        super().__init__(message)
        self.message, self.at, self.note, self.code = message, at, note, code


class BlankError(BuildError):
    """Two words stand side by side where a key has no blanks: the first and the last character of both."""


def place(token: Token) -> Place:
    """Where a word stands."""
    return token.start_pos, token.end_pos  # type: ignore[return-value]


def alternatives(text: str, at: Place) -> tuple[pa.Alternative, ...]:
    """The alternatives of a group, each as its segments. A quoted dot separates segments as a bare one does.

    Raises:
        BuildError: an alternative is empty, or stands there twice.
    """
    found = [""]
    for word in _ALTERNATIVE.findall(text):
        if word == "|":
            found.append("")
        else:
            found[-1] += unquote(word) if word[0] in "\"'" else word
    listed = [tuple(alternative.split(".")) for alternative in found]
    if any("" in segments for segments in listed):
        raise BuildError("an alternative has an empty segment", at)
    if len(set(listed)) < len(listed):
        twice = next(text for text in found if found.count(text) > 1)
        raise BuildError(f"the alternative `{twice}` stands twice in this group", at)
    return tuple(listed)


def adjacent(*places: Place) -> None:
    """Keys have no blanks: each word begins where the one before it ends.

    Raises:
        BlankError: there is a blank in a key.
    """
    for (start, end), (following, stop) in pairwise(places):
        if end != following:
            raise BlankError("a key has no blanks inside", (start, stop))


def joined(children: list[Any]) -> tuple[tuple[Any, ...], Place]:
    """The segments of a key, dots left out, and where all of it stands.

    Raises:
        BuildError: there is a blank in the key, or it is absurdly deep.
    """
    adjacent(*(place(child) if isinstance(child, Token) else child.at for child in children))
    segments, at = tuple(children[::2]), (children[0].at[0], children[-1].at[1])
    if len(segments) > limits().segments:
        note = limit_note("segments", len(segments))
        raise BuildError(f"a key of {len(segments)} segments", at, note, code="too-large")
    return segments, at


def part(word: Any) -> Any:
    """A part of a segment: a word as its form; what is a form already, itself."""
    if not isinstance(word, Token):
        return word
    at = place(word)
    match word.type:
        case "TEXT":
            return pa.Literal(str(word), at)
        case "STRING":
            text = unquote(word)
            if not text:
                raise BuildError("a segment of a key is not empty", at)
            return pa.Literal(text, at)
        case "GROUP":
            return pa.Group(alternatives(word[1:-1], at), at)
        case "PARAMETER":
            return pa.ParameterText(word.strip("${}"), at)
        case "STAR":
            return pa.Star(at)
    return pa.Deep(at)


def merged(words: list[Any]) -> tuple[Any, ...]:
    """The parts of a segment in order, literal text that stands side by side as one.

    Raises:
        BuildError: there is a blank between them, or a `**` beside other text.
    """
    parts: list[Any] = []
    for found in map(part, words):
        if parts:
            adjacent(parts[-1].at, found.at)
        if isinstance(found, pa.Literal) and parts and isinstance(parts[-1], pa.Literal):
            parts[-1] = pa.Literal(parts[-1].text + found.text, (parts[-1].at[0], found.at[1]))
        else:
            parts.append(found)
    deep = [p for p in parts if isinstance(p, pa.Deep) or (isinstance(p, pa.Capture) and p.kind == "deep")]
    if deep and len(parts) > 1:
        whole = (parts[0].at[0], parts[-1].at[1])
        if all(isinstance(p, pa.Star | pa.Deep) for p in parts):
            note = "`*` stays inside a segment, `**` crosses segments"
            raise BuildError(f"there is no `{''.join(map(str, parts))}`", whole, note)
        note = "inside a segment `*` stands for any text"
        raise BuildError(f"`{deep[0]}` stands for whole segments: it needs a dot on either side", deep[0].at, note)
    return tuple(parts)
