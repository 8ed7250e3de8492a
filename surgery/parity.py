"""``expect: parity``: the result computes what a reference model computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from surgery.diagnostics import Span, fail
from surgery.document import Node
from surgery.fields import Kind, Reader, integer, list_of, number, option
from surgery.fields.declare import REQUIRED
from surgery.fields.schema import object_schema
from surgery.likeness import differences_from, likeness_notes
from surgery.limits import exceeded, limits
from surgery.sources.base import Source
from surgery.sources.kind import source
from surgery.tensors.spec import format_bytes
from surgery.tensors.subject import Subject, in_memory

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Parity", "ParityCheck", "parity"]


@dataclass(frozen=True, slots=True)
class Parity:
    """The forward outputs of the result against those of a reference model, on a seeded input.

    Both run in evaluation mode. Outputs agree where the largest difference is at most `tolerance` times the largest
    value of the reference. A result that is a bare state dict runs in the modules of the reference.
    """

    like: Source = option(source, default=REQUIRED, help="the reference model, with its weights")
    input: tuple[int, ...] = option(list_of(integer), default=REQUIRED, help="the shape of the input, batch included")
    seed: int = option(integer, default=0, help="of the input, which is normally distributed")
    tolerance: float = option(number, default=1e-5, help="how far outputs may be apart, relative to the largest value")

    def check_plan(self, subject: Subject, reference: Subject, span: Span | None) -> ParityCheck:
        """What is to be compared when the plan is executed.

        Raises:
            SurgeryError: code ``check-failed``; the two cannot be compared.
        """
        name = self.like.describe()
        if reference.skeleton is None:
            note = "a checkpoint has tensors and no modules: `like: {torchvision: …}`"
            raise fail("check-failed", f"{name} is no model that could be run", span, (note,))
        if min(self.input, default=1) < 1:
            raise fail("check-failed", f"there can be no input of {list(self.input)}", span)
        if (size := 4 * prod(self.input)) > limits().tensor:
            raise exceeded("tensor", f"the input takes {format_bytes(size)}", span, needed=size)
        if subject.skeleton is None:
            differences = differences_from(reference, subject)
            if differences:
                message = f"the result cannot run as {name}: {differences.totals()}"
                raise fail("check-failed", message, span, likeness_notes(differences, name))
            subject = subject.replace(skeleton=reference.skeleton)
        return ParityCheck(self, subject, in_memory(reference), span)


@dataclass(frozen=True, slots=True)
class ParityCheck:
    """A comparison that waits for the tensors of the result."""

    parity: Parity
    subject: Subject
    reference: Subject
    span: Span | None

    def run(self, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor] | None = None) -> None:
        """Compare.

        Args:
            tensors: the tensors of the result by key, which are left as they are.
            weights: those that stay on the disk.

        Raises:
            SurgeryError: code ``check-failed``, naming the first module whose outputs differ.
        """
        from surgery.engine.evaluate import materialise
        from surgery.model.assemble import assemble
        from surgery.model.outputs import distance, first_difference, outputs_of, seeded_input

        wanted = self.parity
        values = seeded_input(wanted.input, wanted.seed)
        reference = assemble(self.reference, materialise(self.reference.entries)).eval()
        result = assemble(self.subject, tensors, weights).eval()
        expected = outputs_of(reference, values, "the reference", self.span)
        off = distance(expected, outputs_of(result, values, "the result", self.span))
        if off <= wanted.tolerance:
            return
        name = wanted.like.describe()
        first = first_difference(reference, result, values, wanted.tolerance)
        where = f"`{first[0]}` is the first module that differs, by {first[1]:.2g}" if first else "no module differs"
        message = f"the outputs of the result are not those of {name}: they differ by {off:.2g}"
        note = f"relative to the largest value; `tolerance` is {wanted.tolerance:.2g}"
        raise fail("check-failed", message, self.span, (where, note))


@dataclass(frozen=True, slots=True)
class _Parity(Kind):
    """A mapping of the fields of `Parity`."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Parity | None:
        return reader.fields(Parity, node)

    def schema(self) -> dict[str, Any]:
        return object_schema(Parity)


parity = _Parity()
