"""From a parser's complaint to a message that a person can act on."""

from __future__ import annotations

import re

import lark

from surgery.diagnostics import Diagnostic
from surgery.text import Text

__all__ = ["explain"]

_WORD = re.compile(r"[\w.*/:@+-]+|\s*\S")

# what stands where it does not belong -> what to say; first match wins. (pattern at the place, message, note)
_KNOWN: list[tuple[re.Pattern[str], str, str | None]] = [
    (re.compile(r"=>"), "the arrow is `->`", "write `->` or `→`"),
    (re.compile(r"->|→"), "an arrow does not stand here", "a rule has one arrow: `selector -> something`"),
    (
        re.compile(r"\\"),
        "a backslash means nothing here",
        "there are no regular expressions: `{i}` captures, `{i}` puts it back",
    ),
    (re.compile(r"\^|\$(?!\w|\{)"), "`^` and `$` mean nothing here", "matching is always anchored, segment by segment"),
    (re.compile(r"\?"), "`?` means nothing here", "`*` stands for any run of characters, `(a|b)` for alternatives"),
    (re.compile(r"\*\*\*"), "there is no `***`", "`*` stays inside a segment, `**` crosses segments"),
    (re.compile(r"\.\."), "two dots with nothing between them", "a segment is missing, or `**` was meant"),
    (re.compile(r"&"), "`&` means nothing here", "`if`, `except` and `|` combine selectors"),
    (re.compile(r"!"), "`!` means nothing here", "`except` leaves keys out"),
    (re.compile(r"\}"), "an empty capture", "a capture has a name: `{i}`; what needs no name is `*`"),
    (re.compile(r"\{\s*\}"), "an empty capture", "a capture has a name: `{i}`; what needs no name is `*`"),
    (re.compile(r"\{"), "a brace does not stand here", None),
]


def explain(error: lark.exceptions.UnexpectedInput, text: Text, start: str) -> Diagnostic:
    """What is wrong at the place where the parser stopped."""
    value = text.value
    index = error.pos_in_stream if isinstance(error.pos_in_stream, int) and error.pos_in_stream >= 0 else len(value)
    at_end = (
        isinstance(error, lark.exceptions.UnexpectedEOF) or getattr(getattr(error, "token", None), "type", "") == "$END"
    )
    if at_end or index >= len(value):
        return _ends_too_early(text, start)
    while index < len(value) and value[index].isspace():
        index += 1
    if value[index - 1 : index + 1] == "->":
        index -= 1
    rest = value[index:]
    for pattern, message, note in _KNOWN:
        if pattern.match(rest):
            length = len(pattern.match(rest).group())  # type: ignore[union-attr]
            if message.startswith("an arrow") and "->" not in value[:index] and "→" not in value[:index]:
                message, note = "there is nothing before this arrow", "a selector stands before it"
                if value[:index].strip():
                    message, note = "an arrow does not stand here", None
            return Diagnostic("rule-syntax", message, text.span(index, index + length), (note,) if note else ())
    word = _WORD.match(rest)
    length = len(word.group()) if word else 1
    shown = rest[:length].strip()
    message = f"`{shown}` does not belong here"
    note = _advice(value, index, shown, start)
    return Diagnostic("rule-syntax", message, text.span(index, index + length), (note,) if note else ())


def _ends_too_early(text: Text, start: str) -> Diagnostic:
    value = text.value
    end = len(value)
    span = text.span(max(0, end - 1), end)
    if start.endswith("_rule") and "->" not in value and "→" not in value:
        return Diagnostic(
            "rule-syntax",
            "a rule needs an arrow",
            text.span(0, end),
            (f"`{value.strip()} -> …` says what becomes of it",),
        )
    if value.rstrip().endswith(("->", "→")):
        return Diagnostic("rule-syntax", "nothing stands after the arrow", text.span(max(0, end - 2), end))
    return Diagnostic("rule-syntax", "this ends too early", span)


def _advice(value: str, index: int, word: str, start: str) -> str | None:
    before = value[:index].rstrip()
    keywords = ("if", "except", "via", "with", "optional", "or")
    if word in keywords:
        return f'a key of that name is quoted: "{word}"'
    if before.split()[-1:] and before.split()[-1] in keywords:
        name = before.split()[-1]
        return f'`{name}` is a word of the language here; a key of that name is quoted: "{name}"'
    if word.startswith("via") and start != "key_rule":
        return "`via` stands in `convert` and `copy` only"
    if start == "lone_selector" and word.startswith("-"):
        return "a selector stands alone here, without an arrow"
    return None
