"""From the YAML parser's complaint to a message that a person can act on."""

from __future__ import annotations

import re
from typing import Any

import yaml

from surgery.diagnostics import Diagnostic, Span
from surgery.document.quotes import Correction, correct
from surgery.text import SourceFileText

__all__ = ["explain", "missing_quotes"]

_STARTS = {
    "*": "an alias",
    "&": "an anchor",
    "!": "a tag",
    "%": "a directive",
    "|": "a block",
    ">": "a block",
    "{": "a mapping",
    "[": "a list",
}

# a line that begins with a word and a colon
_WORD = re.compile(r"\s*(?:-\s+)*[\w.-]+\s*:(?:\s|$)")

# the parser's complaint -> (message, note, whether the place is that of the context)
_KNOWN: list[tuple[re.Pattern[str], str, str | None, bool]] = [
    (re.compile("unexpected end of stream"), "this quote is not closed", None, True),
    (re.compile("unexpected document indicator"), "this quote is not closed", None, True),
    (
        re.compile("unknown escape character"),
        "there is no such escape in double quotes",
        "a backslash is doubled there; in single quotes it stands for itself",
        False,
    ),
    (
        re.compile("comment or (a )?line break"),
        "the text of a block begins on the next line",
        "nothing but a comment stands behind `|` or `>`",
        False,
    ),
    (re.compile(r"expected ',' or '\}'"), "this `{` is not closed", "or a comma is missing in it", True),
    (re.compile(r"expected ',' or '\]'"), "this `[` is not closed", "or a comma is missing in it", True),
    (re.compile("find expected ':'"), "a colon is missing behind this", "a mapping is `word: value`", True),
    (
        re.compile("block sequence entries are not allowed"),
        "a list does not begin here",
        "it begins on a line of its own",
        False,
    ),
    (
        re.compile("tab character"),
        "a tab stands where blanks are needed",
        "YAML is indented with blanks",
        False,
    ),
    (
        re.compile("while parsing a block|did not find expected (key|'-')|block end"),
        "this line does not fit the lines above it",
        "the items of a list, and the words of a mapping, begin in the same column",
        False,
    ),
    (re.compile("Unicode character escape"), "this escape stands for no character", None, False),
    (re.compile("document start"), "the document was over before this line", "is it indented like the others?", False),
]


def missing_quotes(file: SourceFileText, line: int) -> str | None:
    """The line with the quotes it lacks, as a note; None where quotes are not what it lacks."""
    found = correct(file.lines[line])
    return found.note if found else None


def explain(error: yaml.MarkedYAMLError, file: SourceFileText) -> Diagnostic:
    """What is wrong, and where."""
    mark, context = error.problem_mark, error.context_mark
    complaint = f"{error.context or ''}: {error.problem or ''}"
    if "nesting depth" in complaint:
        return Diagnostic("too-large", "lists and mappings are nested too deeply", _span(file, mark))
    special = _special(complaint, file, mark)
    if special is not None:
        return special
    if "escape character" not in complaint:
        quotes = _by_quotes(file, mark, context)
        if quotes is not None:
            return quotes
    for pattern, message, note, at_context in _KNOWN:
        if pattern.search(complaint):
            where = context if at_context and context is not None else mark
            span = _span(file, where)
            char = span.excerpt[span.column - 1 : span.column]
            if char and char in "]}" and not at_context:
                return Diagnostic("yaml", f"this `{char}` closes nothing", span)
            return Diagnostic("yaml", message, span, (note,) if note else ())
    return Diagnostic("yaml", f"this is not YAML: {error.problem}", _span(file, mark))


def _by_quotes(file: SourceFileText, *marks: Any) -> Diagnostic | None:
    """The complaint as a matter of missing quotes, if it is one: on its line, or just before it."""
    lines = [mark.line for mark in marks if mark is not None]
    above = [line for line in range(lines[0] - 1, -1, -1) if file.lines[line].strip()][:1] if lines else []
    for number in dict.fromkeys(lines + above):
        found = correct(file.lines[number]) if number < len(file.lines) else None
        if found is not None:
            message = f"quotes are missing: {_why(file.lines[number], found)}"
            span = file.span(number, found.column, found.length)
            return Diagnostic("yaml-quotes", message, span, (found.note,))
    return None


def _why(line: str, found: Correction) -> str:
    text = line[found.column : found.column + found.length]
    if text[0] in "@`":
        return f"YAML keeps {text[0]} at the beginning of a text for itself"
    if text[0] in "\"'":
        return "to YAML, this text ends with its second quote"
    if text[0] in _STARTS:
        return f"to YAML, a text that begins with `{text[0]}` is {_STARTS[text[0]]}"
    if ": " in text or text.endswith(":"):
        return "to YAML, a colon and a blank inside a text begin a mapping"
    return "to YAML, brackets and commas end a text here"


def _special(complaint: str, file: SourceFileText, mark: Any) -> Diagnostic | None:
    """What the characters at the place tell better than the complaint."""
    span = _span(file, mark)
    char = span.excerpt[span.column - 1 : span.column]
    if "escape character" in complaint:
        return None
    if "cannot start any token" in complaint and char == "\t":
        return Diagnostic("yaml", "a tab stands where blanks are needed", span, ("YAML is indented with blanks",))
    if span.excerpt.lstrip().startswith(": "):
        return Diagnostic("yaml", "a key is missing before this colon", span)
    if "mapping values" in complaint:
        return _by_quotes(file, mark) or _colon(file, span)
    return None


def _colon(file: SourceFileText, span: Span) -> Diagnostic:
    """A colon where no mapping can begin."""
    here, number = span.excerpt, span.line - 2
    while number > 0 and not file.lines[number].strip():
        number -= 1
    above = file.lines[number] if number >= 0 else ""
    if _WORD.match(here) and above.strip():
        column = len(above) - len(above.lstrip())
        deeper = len(here) - len(here.lstrip()) - column
        if deeper > 0:
            message = "this line is indented deeper than the one above it, which has a value already"
            return Diagnostic("yaml", message, file.span(span.line - 1, column + deeper, span.column))
        if not _WORD.match(above):
            place = file.span(number, column, len(above.strip()))
            return Diagnostic("yaml", "a colon is missing behind this", place, ("a mapping is `word: value`",))
    note = "inside a text it needs quotes around the whole text"
    return Diagnostic("yaml", "a colon does not belong here", span, (note,))


def _span(file: SourceFileText, mark: Any) -> Span:
    """The place of a mark; of one behind the last line, the end of the text."""
    line, column = mark.line, mark.column
    while line > 0 and (line >= len(file.lines) or not file.lines[line].strip()):
        line -= 1
        column = len(file.lines[line].rstrip())
    return file.span(line, column, 1)
