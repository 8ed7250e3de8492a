"""Values from a command line: ``-p name=value``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surgery.diagnostics import fail
from surgery.text import Text

__all__ = ["Argument", "arguments"]


@dataclass(frozen=True, slots=True)
class Argument:
    """A value from a command line: text whose characters have places."""

    text: Text


def arguments(texts: Iterable[str], *, option: str = "-p") -> dict[str, Argument]:
    """``name=value`` texts of a command line, by name; their values are read when the type is known.

    Raises:
        SurgeryError: `parameter-value`, for a text without a name, and for a name given twice.

    >>> arguments(["classes=10"])["classes"].text.value
    '10'
    """
    found: dict[str, Argument] = {}
    for text in texts:
        place = Text.plain(text, option)
        name, sign, _ = text.partition("=")
        if not sign or not name:
            note = f"a parameter is given as `{option} name=value`"
            raise fail("parameter-value", "this names no parameter", place.span(0, max(1, len(text))), (note,))
        if name in found:
            raise fail("parameter-value", f"`{name}` is given twice", place.span(0, len(name)))
        found[name] = Argument(place.cut(len(name) + 1, len(text)))
    return found
