"""Errors as values: a span in a text, a diagnostic about it, and the one exception that carries them.

Everything that can go wrong for a user becomes a :class:`Diagnostic`. Diagnostics are collected,
then raised together as one :class:`SurgeryError`, which renders itself the way a compiler does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from surgery.codes import page

__all__ = ["Diagnostic", "Span", "SurgeryError", "columns", "escape", "fail"]

#: characters of a line that an error shows
_WIDEST = 200
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def escape(text: str) -> str:
    r"""Make any text safe to print: control, bidi and other invisible characters become escapes.

    >>> escape("a\x1b[31mb\u202ec")
    'a\\x1b[31mb\\u202ec'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _HIDDEN_CATEGORIES else char
        for char in text
    )


@dataclass(frozen=True, slots=True)
class Span:
    """Where some words stand: file, line and column (both from 1), their length, and the whole line."""

    file: str
    line: int
    column: int
    length: int
    excerpt: str

    def __str__(self) -> str:
        return f"{escape(self.file)}:{self.line}:{self.column}"

    @property
    def place(self) -> str:
        """The file and line, without the column: ``recipe.yaml:9``."""
        return f"{escape(self.file)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong (or worth a warning), where it stands, and what would mend it."""

    code: str
    message: str
    span: Span | None = None
    notes: tuple[str, ...] = ()
    severity: Literal["error", "warning"] = "error"

    @property
    def exit_code(self) -> int:
        """The status with which a command that meets this diagnostic ends (2 to 4, or 1 for a failed check)."""
        return page(self.code).exit_code

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        lines = [f"{where}{self.severity}[{self.code}]: {escape(self.message)}"]
        if self.span:
            number = f"{self.span.line:4}"
            before, marked, after = map(_tabs_to_blanks, _window(self.span))
            lines.append(f"{number} | {before}{marked}{after}")
            lines.append(f"{' ' * len(number)} | {' ' * columns(before)}{'^' * max(1, columns(marked))}")
        for note in self.notes:
            first, *more = note.split("\n")
            lines.append(f"     = {escape(first)}")
            lines.extend(f"       {escape(line)}" for line in more)
        return "\n".join(lines)


def _window(span: Span) -> tuple[str, str, str]:
    """The line before the words, the words, and the line after them; a long line is cut on both sides."""
    line, start = span.excerpt, span.column - 1
    begin = max(0, min(start - _WIDEST // 4, len(line) - _WIDEST))
    end = begin + _WIDEST
    stop = min(start + span.length, end)
    before = ("…" if begin else "") + line[begin:start]
    return before, line[start:stop], line[stop:end] + ("…" if end < len(line) else "")


def _tabs_to_blanks(line: str) -> str:
    """What is printed of a line: tabs are single blanks, so that the caret can be counted to."""
    return "".join(escape(char) if char != "\t" else " " for char in line)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: wide characters take two, combining ones none.

    >>> columns("weight"), columns("重み"), columns("e\\u0301")
    (6, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


class SurgeryError(Exception):
    """All that is wrong with what was asked, together.

    Attributes:
        diagnostics: the errors (and warnings met on the way), in the order in which they were found.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic] | Diagnostic) -> None:
        found = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        assert found, "an error says what is wrong"
        self.diagnostics: tuple[Diagnostic, ...] = found
        super().__init__(found)

    def placed(self, span: Span | None) -> SurgeryError:
        """The same error, what has no place in it being at `span`."""
        return SurgeryError(replace(d, span=d.span or span) for d in self.diagnostics)

    def __str__(self) -> str:
        return "\n\n".join(str(diagnostic) for diagnostic in self.diagnostics)

    @property
    def exit_code(self) -> int:
        """The exit status of a command that ends with this error: that of its first real error."""
        errors = [d for d in self.diagnostics if d.severity == "error"]
        return (errors or list(self.diagnostics))[0].exit_code


def fail(
    code: str, message: str, span: Span | None = None, notes: Iterable[str] = (), cause: BaseException | None = None
) -> SurgeryError:
    """A :class:`SurgeryError` with one diagnostic, ready to raise: ``raise fail("unknown-word", "…", span)``."""
    error = SurgeryError(Diagnostic(code, message, span, tuple(notes)))
    error.__cause__ = cause
    return error
