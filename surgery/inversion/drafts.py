"""Rules of an inverse while they are being written: on the left a selector that may still be narrowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.inversion.mirror import Mirrored
from surgery.inversion.text import plain_parameters
from surgery.lang.expression import Expression
from surgery.lang.parser import parse_rules
from surgery.lang.path import Path
from surgery.lang.rule import Rule
from surgery.text import Text

__all__ = ["Draft"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule of an inverse.

    Attributes:
        number: the rule that it undoes, by its place in the step.
        mirrored: that rule in the mirror.
        via: the operations, as text; empty where tensors only move.
        optional: whether it may select nothing.
    """

    number: int
    mirrored: Mirrored
    via: str = ""
    optional: bool = False

    @property
    def moves(self) -> bool:
        """Whether it gives new keys and computes nothing."""
        return not self.via and len(self.mirrored.paths) == 1 and not self.mirrored.listed

    @property
    def left(self) -> str:
        """The left side, as it is written."""
        # `**`, whatever it leaves out, always selects something
        everything = str(self.mirrored.paths[0]) == "**"
        optional = "optional " if self.optional and not everything else ""
        return plain_parameters(f"{optional}{self.mirrored.left}")

    @property
    def right(self) -> str:
        """The keys on the right side, as they are written."""
        inside = ", ".join(map(str, self.mirrored.templates))
        return plain_parameters(f"[{inside}]" if self.mirrored.listed else inside)

    def rule(self, values: Mapping[str, Any]) -> Rule:
        """The rule itself, its parameters bound.

        Raises:
            SurgeryError: it is none.
        """
        text = f"{self.left} -> {self.right}" + (f" via {self.via}" if self.via else "")
        (rule,) = parse_rules(Text.plain(text, "<inverse>"), "key", values)
        return rule

    def narrowed(self, *, condition: Expression | None = None, excepts: Sequence[Path] = ()) -> Draft:
        """The draft with a condition and exceptions beside its own."""
        mirrored = self.mirrored.narrowed(condition=condition, excepts=excepts)
        return dataclasses.replace(self, mirrored=mirrored)

    def with_mirrored(self, **changes: Any) -> Draft:
        """The draft with another left side, or other keys."""
        return dataclasses.replace(self, mirrored=dataclasses.replace(self.mirrored, **changes))
