"""What came of the cases of recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from surgery.diagnostics import Diagnostic, Span

__all__ = ["Outcome", "Status", "Tested"]

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case.

    Attributes:
        name: of the case.
        status: ``skipped`` where it could not be tried.
        seconds: that it took.
        span: where the case stands.
        reason: why it was skipped.
        diagnostics: what went wrong.
        printed: what libraries printed meanwhile.
    """

    name: str
    status: Status
    seconds: float
    span: Span | None = None
    reason: str = ""
    diagnostics: Sequence[Diagnostic] = ()
    printed: str = ""


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of one recipe.

    Attributes:
        recipe: its file, or the name of a shipped one.
        outcomes: of its cases, in order; none where it has no tests.
        errors: what is wrong with the recipe itself, so that no case could be tried.
    """

    recipe: str
    outcomes: Sequence[Outcome] = ()
    errors: Sequence[Diagnostic] = ()

    def count(self, status: Status) -> int:
        """How many of its cases came out like that."""
        return sum(outcome.status == status for outcome in self.outcomes)
