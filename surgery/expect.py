"""``expect``: what the result of a recipe must be, checked by every plan and every run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from surgery.diagnostics import Span, SurgeryError
from surgery.document import MapNode, Node
from surgery.fields import Kind, Reader, boolean, integer, option
from surgery.fields.schema import object_schema
from surgery.fields.specs import specs
from surgery.likeness import differences_from, likeness_notes
from surgery.parity import Parity, parity
from surgery.planning.context import Context
from surgery.planning.finite import with_finite_values
from surgery.sources.base import Source
from surgery.sources.keys import Keys
from surgery.sources.kind import source
from surgery.tensors.parameters import first_names, is_parameter
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Subject

__all__ = ["Expect", "count_parameters", "expect"]


@dataclass(frozen=True, slots=True)
class _Keys(Kind):
    """A number, or a mapping from keys to shapes."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Any:
        return (specs if isinstance(node, MapNode) else integer).read(node, reader)

    def schema(self) -> dict[str, Any]:
        return {"if": {"type": "object"}, "then": specs.schema(), "else": integer.schema()}


@dataclass(frozen=True, slots=True)
class Expect:
    """What the result must be: ``{keys: 293, parameters: 4652008, finite: true, like: SOURCE}``.

    Most is told from headers, so that a plan finds it; `finite` and `parity` need values, and are found by the run,
    before anything is written. `like` opens another source (a model is built without weights) and compares keys, shapes
    and dtypes: this is how a conversion says that it is complete. `parity` runs the result and a reference model on
    the same seeded input.

    Attributes:
        span: its place in the recipe.
        places: the place of each word in it.
    """

    example: ClassVar[str] = "expect: {keys: 293, finite: true, like: {torchvision: efficientnet_b0}}"

    keys: int | Mapping[str, Spec] | None = option(
        _Keys(), help="how many tensors the result has, tied ones under each of their names; or each with its shape"
    )
    parameters: int | None = option(integer, help="how many elements its parameters have, tied ones once")
    finite: bool = option(boolean, default=False, help="whether every value is finite")
    like: Source | None = option(source, help="a model or a checkpoint with the same keys, shapes and dtypes")
    parity: Parity | None = option(parity, help="a model with the same outputs, and the input to compare them on")
    span: Span | None = None
    places: Mapping[str, Span] = field(default_factory=dict, hash=False)

    def check_plan(self, subject: Subject, context: Context) -> Subject:
        """The subject of a plan, checked. What only values can tell is found when the plan is executed."""
        if isinstance(self.keys, int) and len(subject.entries) != self.keys:
            self._differs("keys", f"the result has {len(subject.entries)} keys, not {self.keys}", context)
        if isinstance(self.keys, Mapping):
            self._compare("keys", Keys(self.keys), subject, context)
        if self.parameters is not None:
            count = count_parameters(subject)
            if count != self.parameters:
                message = f"the parameters of the result have {count} elements, not {self.parameters}"
                self._differs("parameters", message, context)
        if self.like is not None:
            self._compare("like", self.like, subject, context)
        if self.parity is not None:
            self._prepare(self.parity, subject, context)
        return with_finite_values(subject, subject.entries, self._place("finite")) if self.finite else subject

    def _compare(self, word: str, like: Source, subject: Subject, context: Context) -> None:
        reference = self._open(word, like, context)
        differences = differences_from(reference, subject) if reference is not None else None
        if differences:
            name = like.describe()
            message = f"the result is not like {name}: {differences.totals()}"
            self._differs(word, message, context, likeness_notes(differences, name))

    def _prepare(self, parity: Parity, subject: Subject, context: Context) -> None:
        reference = self._open("parity", parity.like, context)
        host = self._open("parity", parity.into, context) if parity.into is not None else None
        if reference is None or (host is None and parity.into is not None):
            return
        try:
            context.run_checks.append(parity.check_plan(subject, reference, host, self._place("parity")))
        except SurgeryError as error:
            context.diagnostics.extend(error.diagnostics)

    def _open(self, word: str, like: Source, context: Context) -> Subject | None:
        """A reference; its errors are reported.

        It is no source of the result: its tensors are none of the accounts' business.
        """
        apart = dataclasses.replace(
            context, inventory={}, files={}, drops=[], modules=[], remarks=[], here=self._place(word)
        )
        try:
            return like.open(apart)
        except SurgeryError as error:
            context.diagnostics.extend(error.diagnostics)
            return None

    def _differs(self, word: str, message: str, context: Context, notes: list[str] | None = None) -> None:
        context.report("check-failed", message, self._place(word), notes or ())

    def _place(self, word: str) -> Span | None:
        return self.places.get(word, self.span)


def count_parameters(subject: Subject) -> int:
    """How many elements the parameters of a subject have, a tied one counted once."""
    found = ((key, e.expr) for key, e in subject.entries.items() if is_parameter(key, e.spec, e.kind))
    return sum(subject.entries[key].spec.numel for key in first_names(found))


@dataclass(frozen=True, slots=True)
class _Expect(Kind):
    """What the result must be."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Expect | None:
        read = reader.fields(Expect, node)
        if read is None or not isinstance(node, MapNode):
            return None
        return dataclasses.replace(read, span=node.span, places={str(key.value): key.span for key, _ in node.pairs})

    def schema(self) -> dict[str, Any]:
        return object_schema(Expect)


#: what the result of a recipe, or of one of its tests, must be
expect = _Expect()
