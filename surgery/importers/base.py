"""What an importer is: it reads rules of another tool, and gives the steps of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import fail
from surgery.foreign.remarks import Reading
from surgery.registry import Registry
from surgery.suggest import did_you_mean

__all__ = ["IMPORTERS", "Imported", "ImportedStep", "Importer", "Line", "importer_of", "lines_of", "one_way"]


@dataclass(frozen=True, slots=True)
class Line:
    """A rule of the recipe; or a rule of the other tool that no rule here can say, and `why`.

    Attributes:
        text: the rule as a recipe has it, or as the other tool had it.
        why: why there is none, where there is none.
        readings: how it was read, where it was not read letter by letter.
    """

    text: str
    why: str | None = None
    readings: frozenset[Reading] = frozenset()


@dataclass(frozen=True, slots=True)
class ImportedStep:
    """A step with its rules; one whose lines are all without a rule is a comment."""

    word: str
    lines: tuple[Line, ...]
    rest: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A recipe to be written.

    Attributes:
        name: what it is called.
        description: one sentence on what it does.
        steps: its steps, in order.
        notes: what its reader should know, beside how rules were read.
    """

    name: str
    description: str
    steps: tuple[ImportedStep, ...]
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> list[Line]:
        """The rules that could not be said."""
        return [line for step in self.steps for line in step.lines if line.why is not None]

    @property
    def readings(self) -> dict[Reading, int]:
        """How rules were read, and how many were read so."""
        lines = [line for step in self.steps for line in step.lines]
        counts = {reading: sum(reading in line.readings for line in lines) for reading in Reading}
        return {reading: count for reading, count in counts.items() if count}


class Importer:
    """Reads rules of one kind. Adding one is adding one file, whose docstring is its page in the reference.

    Attributes:
        example: what a user types.
    """

    example: ClassVar[str] = ""

    @classmethod
    def read(cls, words: str, *, reverse: bool = False) -> Imported:
        """The recipe for what stands behind the name of the importer; `reverse` asks for the way back.

        Raises:
            SurgeryError: there is nothing of the kind, or it cannot be read.
        """
        raise NotImplementedError


#: what stands before the colon -> importer
IMPORTERS: Registry[type[Importer]] = Registry("surgery.importers")


def importer_of(what: str) -> tuple[type[Importer], str]:
    """The importer of ``KIND:WORDS``, and the words.

    Raises:
        SurgeryError: ``usage``, for an unknown kind, or none.
    """
    kind, colon, words = what.partition(":")
    importer = IMPORTERS.get(kind) if colon and kind.isidentifier() else None
    if importer is None or not words:
        examples = [f"`{IMPORTERS[name].example}`" for name in IMPORTERS]
        near = did_you_mean(kind, IMPORTERS)
        notes = ([near] if near and importer is None else []) + [f"what can be imported: {', '.join(examples)}"]
        raise fail("usage", f"`{what}` names nothing to import", notes=notes)
    return importer, words


def one_way(reverse: bool, kind: str) -> None:
    """Refuse the way back where the other tool has none.

    Raises:
        SurgeryError: ``usage``.
    """
    if reverse:
        note = "`surgery invert` turns a recipe round, where it can be"
        raise fail("usage", f"`{kind}` gives rules for one way", notes=(note,))


def lines_of(rules: Sequence[str]) -> tuple[Line, ...]:
    """Rules that say exactly what the other tool said."""
    return tuple(Line(rule) for rule in rules)
