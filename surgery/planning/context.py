"""What a step may use beside its subject: the seed, permissions, sources, and the place to report to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from surgery.diagnostics import Diagnostic, Span, SurgeryError
from surgery.formats.contents import Checkpoint
from surgery.tensors.spec import Spec
from surgery.tensors.state import FileState
from surgery.tensors.subject import Entry, Origin, Subject, Touch

if TYPE_CHECKING:
    from surgery.references.base import Found, Reference
    from surgery.references.kind import Named, Passed
    from surgery.steps.sequence import PlacedStep

__all__ = ["Context", "Drop", "Link", "Opened", "Pins", "Recipes", "RunCheck"]

_LACK_A_MODEL = ("needs-a-model", "types-need-a-model")


@dataclass(frozen=True, slots=True)
class Drop:
    """A source tensor that does not reach the result: what took it away, and the entry that it was until then."""

    origins: tuple[Origin, ...]
    touch: Touch
    entry: Entry


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A source that was opened, for the record.

    Attributes:
        place: what the recipe calls it.
        checkpoint: what is there; None where it is no file.
        specs: its tensors, where it is no file.
        sha256: of its file, where the recipe gave it and it was checked.
        pinned_as: what a lock calls it: an address, a path, a name; None where the caller named it.
    """

    place: str
    checkpoint: Checkpoint | None = None
    specs: Mapping[str, Spec] = field(default_factory=dict)
    sha256: str | None = None
    pinned_as: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A recipe on the way from the one that is planned to the one at work.

    Attributes:
        text: how it was named.
        span: where; None for the one that is planned.
    """

    reference: Reference
    text: str
    span: Span | None = None


class Recipes(Protocol):
    """What reads the recipes that a recipe names."""

    def result(self, named: Named, params: Mapping[str, Passed], context: Context) -> Subject:
        """What another recipe makes of its own source."""

    def applied(self, named: Named, params: Mapping[str, Passed], subject: Subject, context: Context) -> Subject:
        """The subject after the steps of another recipe."""


class Pins(Protocol):
    """What recipes and sources are locked to."""

    def find(self, reference: Reference, named: Named, context: Context, allowed: Callable[[Reference], None]) -> Found:
        """The recipe that a reference is locked to; `allowed` refuses one that may not be named."""

    def vendored(self, place: str) -> Path | None:
        """Where a copy of what lies at an address is; None where there is none."""


class RunCheck(Protocol):
    """A check of the whole result that waits for its tensors."""

    def run(self, tensors: Mapping[str, Any], weights: Mapping[str, Any] | None = None) -> None:
        """Check the tensors of the result, by key, and those on the disk; a `SurgeryError` says what is wrong."""


@dataclass(slots=True)
class Context:
    """The surroundings of a plan.

    Attributes:
        seed: of everything that is drawn.
        allow: permissions that the caller gave: ``network``, ``pickle``, ``import:mypkg``, …
        directory: the directory of the recipe; relative places are relative to it.
        given: objects that the caller passed (a model, a state dict), by name.
        taken: the names of those of them that were used.
        overwrite: whether the caller lets what is there be replaced.
        devices: the devices that exist; None asks torch when it is needed.
        here: the place of the step at work, for what has no nearer place.
        recipes: what reads the recipes that this one names.
        chain: the recipes on the way to the one at work, that one included.
        included: the recipes that were brought in, by reference; the one that is planned too, if it is no file.
        brought: their steps, by the place of the words that brought them in.
        pins: what recipes and sources are locked to; None where there is no lock.
        is_foreign: whether a recipe from elsewhere is at work, which may read only what its caller names.
        label: what the sources of the recipe at work belong to, for the accounts; empty where it is planned by itself.
        inventory: every tensor of every source that was opened: the accounts are made against it.
        files: every file that a source opened, as it was then.
        opened: the sources themselves, in the order in which they were opened.
        diagnostics: errors and warnings, as they are found.
        drops: source tensors that steps dropped.
        modules: what steps did to modules, which the trail of no tensor tells: layers replaced, attributes set.
        hints: what would give a step a model that it lacks.
        remarks: facts worth telling in the plan, such as ties that were broken.
        run_checks: what only the values of the result can tell, to be checked before anything is written.
    """

    seed: int = 0
    allow: frozenset[str] = frozenset()
    directory: Path = field(default_factory=Path)
    given: Mapping[str, Any] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    overwrite: bool = False
    devices: tuple[str, ...] | None = None
    here: Span | None = None
    recipes: Recipes | None = None
    chain: tuple[Link, ...] = ()
    included: dict[str, Found] = field(default_factory=dict)
    brought: dict[Span, tuple[PlacedStep, ...]] = field(default_factory=dict)
    pins: Pins | None = None
    is_foreign: bool = False
    label: str = ""
    inventory: dict[Origin, Spec] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    opened: list[Opened] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    modules: list[Touch] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    run_checks: list[RunCheck] = field(default_factory=list)

    def report(
        self, code: str, message: str, span: Span | None = None, notes: Iterable[str] = (), *, warning: bool = False
    ) -> None:
        """Note an error (or a warning) and go on, so that all are found together."""
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        self.diagnostics.append(Diagnostic(code, message, span or self.here, tuple(notes), severity))

    def named(self, source: str) -> str:
        """What the accounts call a source: sources of several recipes may have one name."""
        return f"{self.label}: {source}" if self.label else source

    def drop(self, entry: Entry, touch: Touch) -> None:
        """Account for a tensor that goes no further under its own key."""
        self.drops.append(Drop(entry.origins, touch, entry))

    @property
    def failed(self) -> bool:
        """Whether an error was found so far."""
        return any(d.severity == "error" for d in self.diagnostics)

    def raise_errors(self) -> None:
        """Raise everything that was found, if any of it is an error.

        Raises:
            SurgeryError: with all diagnostics.
        """
        if self.failed:
            raise SurgeryError(map(self._hinted, self.diagnostics))

    def _hinted(self, found: Diagnostic) -> Diagnostic:
        hints = tuple(self.hints if found.code in _LACK_A_MODEL else ())
        return dataclasses.replace(found, notes=(*found.notes, *hints)) if hints else found
