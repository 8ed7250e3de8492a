"""What a step is: fields, an example, and a pure function from subject to subject.

A step is a frozen dataclass whose fields are declared with `surgery.fields`. Adding one is adding one file::

    @STEPS.register("freeze")
    @dataclass(frozen=True, slots=True)
    class Freeze(Step): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar

from surgery.diagnostics import Diagnostic
from surgery.planning.context import Context
from surgery.tensors.subject import Subject

__all__ = ["Step"]


class Step:
    """The base of all steps. Its docstring is the step's page in the reference; `example` is a step that parses.

    Attributes:
        example: the step as YAML, on one line.
        habits: words of other tools that are no fields here -> what says it instead.
        needs_model: whether it works on modules, so that a bare state dict is an error.
        keeps_tensors: whether every tensor keeps its key and its values, so that there is nothing to take back.
    """

    __slots__ = ()

    example: ClassVar[str] = ""
    habits: ClassVar[Mapping[str, str]] = MappingProxyType({})
    needs_model: ClassVar[bool] = False
    keeps_tensors: ClassVar[bool] = False

    def check(self) -> Iterable[Diagnostic]:
        """What can be said against the step before any key is known (operations that do not exist, say)."""
        return ()

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject after the step. `subject` is never changed.

        Errors go to ``context.report`` so that all of a step are found together; a step may also raise a
        `SurgeryError`. Tensors that go no further are accounted for with ``context.drop``.
        """
        raise NotImplementedError
