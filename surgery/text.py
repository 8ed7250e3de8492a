"""Text that knows where it came from: each character of a value has its place in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from surgery.diagnostics import Span

__all__ = ["SourceFileText", "Text"]


@dataclass(frozen=True, slots=True, eq=False)
class SourceFileText:
    """The text of one file (or of one argument), by lines, for excerpts."""

    name: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, name: str, content: str) -> SourceFileText:
        """The text `content`, named `name` in messages."""
        return cls(name, tuple(content.split("\n")))

    def span(self, line: int, column: int, length: int) -> Span:
        """The span of `length` characters from `line` and `column`, both counted from 0."""
        excerpt = self.lines[line].rstrip("\r") if line < len(self.lines) else ""
        room = max(1, len(excerpt) - column)
        return Span(self.name, line + 1, column + 1, max(1, min(length, room)), excerpt)


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A string whose characters have places: what the language parses.

    `locate` maps an index of `value` (its length included) to a line and column of the file, both from 0.
    """

    value: str
    file: SourceFileText
    locate: Callable[[int], tuple[int, int]]

    @classmethod
    def plain(cls, value: str, name: str = "<text>") -> Text:
        """A text that stands by itself, as an argument of a function or a command does.

        >>> Text.plain("a -> b", "<rules>").span(5, 6).column
        6
        """

        def locate(index: int) -> tuple[int, int]:
            before = value[:index]
            return before.count("\n"), index - (before.rfind("\n") + 1)

        return cls(value, SourceFileText.of(name, value), locate)

    def span(self, start: int, end: int) -> Span:
        """The place of ``value[start:end]``; of several lines, the part on the first."""
        line, column = self.locate(start)
        first_line = self.value[start:end].split("\n", 1)[0]
        last_line, last_column = self.locate(max(start, start + len(first_line) - 1))
        length = last_column - column + 1 if last_line == line else len(first_line)
        return self.file.span(line, column, length)

    def cut(self, start: int, end: int) -> Text:
        """The part ``value[start:end]``, its characters still in their places."""
        return Text(self.value[start:end], self.file, lambda index: self.locate(start + index))
