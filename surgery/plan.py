"""The plan: what will be done, in full, as data. Nothing was read but headers, and nothing was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import Diagnostic, Span
from surgery.limits import Limits, in_force, limits
from surgery.planning.context import Drop, Opened, RunCheck
from surgery.tensors.spec import Spec
from surgery.tensors.state import FileState
from surgery.tensors.subject import Origin, Subject, Touch

if TYPE_CHECKING:
    from surgery.recipe import Recipe
    from surgery.references.base import Found
    from surgery.result import Result
    from surgery.sinks.base import Output, Progress
    from surgery.steps.sequence import PlacedStep

__all__ = ["Cost", "Plan"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an execution will take, in bytes. `peak` is the memory for tensor data: neither imports nor keys count."""

    read: int
    written: int
    peak: int


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """A recipe applied to its sources, tensor by tensor, before any tensor data is read.

    Attributes:
        recipe: what is planned.
        params: the values of its parameters.
        before: every tensor of every source: (source, key) -> shape and dtype.
        subject: the result: key -> how it is made, from which source tensors, and by which rules.
        drops: source tensors that do not reach the result, and what took them away.
        modules: what steps did to modules: layers replaced, attributes set.
        outputs: what will be written, and how.
        warnings: what is worth a look, and no error.
        remarks: facts worth telling, such as ties.
        files: every file that was opened, as it was then.
        opened: the sources that were opened.
        included: the recipes that were brought in, by reference.
        brought: their steps, by the place of the words that brought them in.
        allow: the permissions that the caller gave.
        given: whether the caller gave objects, which it may change afterwards.
        run_checks: what the tensors of the result are checked for before anything is written.
        limits: those that were in force, and are when it is carried out.
    """

    recipe: Recipe
    params: Mapping[str, Any]
    before: Mapping[Origin, Spec]
    subject: Subject
    drops: tuple[Drop, ...] = ()
    modules: tuple[Touch, ...] = ()
    outputs: tuple[Output, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    remarks: tuple[str, ...] = ()
    files: Mapping[str, FileState] = field(default_factory=dict)
    opened: tuple[Opened, ...] = ()
    included: Mapping[str, Found] = field(default_factory=dict)
    brought: Mapping[Span, tuple[PlacedStep, ...]] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()
    given: bool = False
    run_checks: tuple[RunCheck, ...] = ()
    limits: Limits = field(default_factory=limits)

    @cached_property
    def cost(self) -> Cost:
        """Bytes read, bytes written, peak memory. Files are laid out for it, which a run need not do twice.

        Raises:
            SurgeryError: something of the result does not fit into a file of its format.
        """
        from surgery.cost import cost_of

        with in_force(self.limits):
            return cost_of(self)

    def execute(self, progress: Progress | None = None, *, digest: bool = False) -> Result:
        """Carry the plan out: write its outputs, if it has any.

        Args:
            progress: called with a number of bytes as they are written.
            digest: whether the outputs have digests of the contents of all sources, large ones included, and checksums
                of their own contents.

        Raises:
            SurgeryError: a source changed, an output cannot be written, a value does not fit, a check fails.
        """
        from surgery.result import carry_out

        with in_force(self.limits):
            return carry_out(self, progress, digest=digest)

    def __repr__(self) -> str:
        from surgery.report.plan import plan_text

        return plan_text(self).rstrip("\n")

    def _repr_html_(self) -> str:
        from surgery.report.html import plan_html

        return plan_html(self)
