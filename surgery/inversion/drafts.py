"""Rules of an inverse while they are being written: on the left a selector that may still be narrowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.inversion.mirror import Mirrored
from surgery.inversion.text import plain_parameters
from surgery.lang.expression import Boolean, Expression
from surgery.lang.parser import parse_rules
from surgery.lang.path import Path
from surgery.lang.rule import Join, Rule
from surgery.lang.selector import Except, Guarded, Selector, Union
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
        condition: which of the keys that it would select are meant, beside the condition of the mirrored rule.
        excepts: what it leaves out.
    """

    number: int
    mirrored: Mirrored
    via: str = ""
    optional: bool = False
    condition: Expression | None = None
    excepts: tuple[Path, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether it gives new keys and computes nothing."""
        return not self.via and len(self.mirrored.paths) == 1 and not self.mirrored.listed

    @property
    def left(self) -> str:
        """The left side, as it is written."""
        form: Selector | Join = self.mirrored.left
        if self.excepts or self.condition:
            assert not isinstance(form, Join)
            inner, condition = (form.selector, form.condition) if isinstance(form, Guarded) else (form, None)
            if self.excepts:
                inner = Except(inner, Union(self.excepts) if len(self.excepts) > 1 else self.excepts[0])
            if condition and self.condition:
                condition = Boolean("and", condition, self.condition)
            condition = condition or self.condition
            form = Guarded(inner, condition) if condition else inner
        return plain_parameters(f"optional {form}" if self.optional else str(form))

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

    def with_paths(self, paths: Sequence[Path]) -> Draft:
        """The draft with other paths on the left."""
        return dataclasses.replace(self, mirrored=dataclasses.replace(self.mirrored, paths=tuple(paths)))
