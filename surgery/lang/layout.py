"""Where rules begin and end: the only part of the language that is about lines.

A rule ends at a comma or a line end outside brackets. A line that ends or begins with ``->``, ``via`` or ``|`` goes
on. ``#`` after a blank begins a comment. Texts are cut here, so that each rule is parsed, and can fail, by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from surgery.diagnostics import Diagnostic, SurgeryError, escape, fail
from surgery.text import Text

__all__ = ["split_rules"]

_TOKEN = re.compile(
    r"""(?P<comment>(?<!\S)\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<open>[(\[{])
      | (?P<close>[)\]}])
      | (?P<comma>,)
      | (?P<newline>\n)
      | (?P<quote>["'])
      | (?P<other>[^\s"'(\[{)\]},\#]+|\#|\s)
    """,
    re.VERBOSE,
)
_GOES_ON_AFTER = re.compile(r"(?:->|→|(?<!\S)via|\|)\Z")
_GOES_ON_BEFORE = re.compile(r"->|→|via(?=\s)|\|")
_BLANKS_AND_COMMENTS = re.compile(r"(?:\s+|(?<!\S)#[^\n]*)*")
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_DEEPEST = 40


def split_rules(text: Text, *, commas: bool = True) -> list[Text]:
    """The rules in `text`, comments around them removed; without `commas` a rule ends at the line end only.

    Raises:
        SurgeryError: a bracket or a quote without its partner, brackets nested too deeply.

    >>> [rule.value for rule in split_rules(Text.plain("a -> b, c ->\\n  d  # swap"))]
    ['a -> b', 'c ->\\n  d']
    """
    rules, start = [], 0
    for end, after in _ends(text, commas):
        piece = _trim(text, start, end)
        if piece.value:
            rules.append(piece)
        elif after == ",":
            raise SurgeryError(Diagnostic("rule-syntax", "there is no rule before this comma", text.span(end, end + 1)))
        start = end + 1
    return rules


def _ends(text: Text, commas: bool) -> Iterator[tuple[int, str]]:
    """Where each rule ends, and the character there."""
    value, content_end, content_start = text.value, 0, 0
    stack: list[tuple[str, int]] = []
    _refuse_hidden(text)
    for match in _TOKEN.finditer(value):
        kind, token = match.lastgroup, match.group()
        if kind == "quote":
            raise _error(text, match.start(), "this quote is not closed on its line")
        if kind == "open":
            stack.append((token, match.start()))
            if len(stack) > _DEEPEST:
                raise _error(text, match.start(), f"brackets are nested more than {_DEEPEST} deep")
        elif kind == "close" and (not stack or _PAIRS[stack.pop()[0]] != token):
            raise _error(text, match.start(), f"this `{token}` closes nothing")
        elif kind == "comma" and commas and not stack:
            yield match.start(), token
        elif kind == "newline" and not stack and match.start() >= content_start:
            content_start = _next_content(value, match.end())
            if not _goes_on(value, content_end, content_start):
                yield match.start(), token
        if kind not in ("comment", "newline") and not token.isspace():
            content_end = match.end()
    if stack:
        token, start = stack[-1]
        raise _error(text, start, f"this `{token}` is not closed")
    yield len(value), ""


def _refuse_hidden(text: Text) -> None:
    """Characters that cannot be seen, or turn text around, would let a rule look like another one."""
    for index, char in enumerate(text.value):
        if not char.isprintable() and char not in "\n\t\r" and escape(char) != char:
            note = f'in quotes it is written as an escape: "{escape(char)}"'
            raise fail(
                "rule-syntax",
                f"the invisible character {escape(char)} stands here",
                text.span(index, index + 1),
                (note,),
            )


def _next_content(value: str, start: int) -> int:
    """Where, from the beginning of a line on, something stands that is neither blank nor comment."""
    return _BLANKS_AND_COMMENTS.match(value, start).end()  # type: ignore[union-attr]


def _goes_on(value: str, content_end: int, content_start: int) -> bool:
    """Whether the rule whose content ended at `content_end` goes on at `content_start`, some lines below."""
    before = _GOES_ON_AFTER.search(value, max(0, content_end - 8), content_end)
    return bool(before or _GOES_ON_BEFORE.match(value, content_start))


def _trim(text: Text, start: int, end: int) -> Text:
    """``text[start:end]`` without the blanks and whole-line comments around it."""
    value = text.value
    while start < end:
        if value[start].isspace():
            start += 1
        elif value[start] == "#" and (start == 0 or value[start - 1].isspace()):
            newline = value.find("\n", start, end)
            start = end if newline < 0 else newline
        else:
            break
    content_end = start
    for match in _TOKEN.finditer(value, start, end):
        if match.lastgroup not in ("comment", "newline") and not match.group().isspace():
            content_end = match.end()
    return text.cut(start, content_end)


def _error(text: Text, index: int, message: str) -> SurgeryError:
    return SurgeryError(Diagnostic("rule-syntax", message, text.span(index, index + 1)))
