"""Steps of an inverse as plain data, ready to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from surgery.inversion.text import rule_text

__all__ = ["Line", "Piece", "rules_value"]


@dataclass(frozen=True, slots=True)
class Line:
    """A rule as it is written, with what the author said of the rule that it undoes.

    Attributes:
        left: the selector.
        right: the keys.
        via: the operations; empty if there are none.
        above: comments on lines of their own.
        behind: a comment at the end of the line.
        note: what the option `note` says.
    """

    left: str
    right: str
    via: str = ""
    above: tuple[str, ...] = ()
    behind: str = ""
    note: str | None = None

    def text(self, *, block: bool) -> str:
        """The rule, with its comments if it stands in a block."""
        rule = rule_text(self.left, self.right, self.via, block=block)
        if not block:
            return rule
        return "\n".join([*self.above, f"{rule}  {self.behind}" if self.behind else rule])


@dataclass(frozen=True, slots=True)
class Piece:
    """A step of an inverse.

    Attributes:
        name: the step's name.
        value: what stands behind it.
        beside: what stands beside it: `when`, `note`.
    """

    name: str
    value: Any
    beside: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """The step as a recipe holds it."""
        return {self.name: self.value, **self.beside}


def rules_value(lines: Sequence[Line], **options: Any) -> Any:
    """Rules as a step holds them: one by itself, several in a block, those with notes in a list."""
    commented = any(line.above or line.behind for line in lines)
    value: Any
    if any(line.note for line in lines):
        value = [
            {"rule": line.text(block=False), "note": line.note} if line.note else line.text(block=False)
            for line in lines
        ]
    elif len(lines) == 1 and not commented and len(lines[0].text(block=False)) <= 100:
        value = lines[0].text(block=False)
    else:
        value = "".join(f"{line.text(block=True)}\n" for line in lines)
    given = {name: option for name, option in options.items() if option is not None}
    return {**given, "rules": value} if given else value
