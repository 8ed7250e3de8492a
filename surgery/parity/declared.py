"""``parity`` as a recipe has it, and what of it a plan can tell."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from surgery.diagnostics import Span, fail
from surgery.document import Node
from surgery.fields import OPEN, Kind, Reader, integer, number, option
from surgery.fields.declare import REQUIRED
from surgery.fields.schema import object_schema
from surgery.likeness import differences_from, likeness_notes
from surgery.limits import exceeded, limits
from surgery.parity.check import ParityCheck
from surgery.parity.hosts import by_its_library, hosted
from surgery.parity.inputs import Drawn, inputs, parts
from surgery.sources.base import Source
from surgery.sources.kind import source
from surgery.tensors.spec import format_bytes
from surgery.tensors.subject import Subject, in_memory

__all__ = ["Parity", "parity"]


@dataclass(frozen=True, slots=True)
class Parity:
    """The forward outputs of the result against those of a reference model, on a seeded input.

    Both run in evaluation mode. Outputs agree where the largest difference is at most `tolerance` times the largest
    value of the reference. A result that is a bare state dict runs in the modules of `into`, whose keys must be its
    own exactly, or without `into` in those of the reference. (Where a library that has ``save_pretrained`` names
    tensors in files otherwise than in memory, the result may have the names of files.)

    Of each model the whole output is compared, all its tensors in turn, or what `output` names: a word such as
    ``logits``, an index, or several joined by dots; an output that is one tensor has no parts, and is that. `at` takes
    the output of an inner module while the whole model runs, `module` runs an inner module alone. One name is that of
    both models; of ``[encoder, null]`` the first is the reference's, the second the result's, and null the whole.
    """

    like: Source = option(source, default=REQUIRED, help="the reference model, with its weights")
    input: tuple[Drawn, ...] = option(inputs, default=REQUIRED, help="its shape, batch included")
    into: Source | None = option(source, help="the model that the tensors of a bare state dict belong to")
    output: Any = option(parts, help="what of the outputs is compared: `logits`, `[last_hidden_state, 0]`")
    at: Any = option(parts, help="the inner module whose output is compared: `avgpool`")
    module: Any = option(parts, help="the inner module that runs, alone: `[encoder, null]`")
    seed: int = option(integer, default=0, help="of the input")
    tolerance: float = option(number, default=1e-5, help="how far outputs may be apart, relative to the largest value")

    def check_plan(self, subject: Subject, reference: Subject, host: Subject | None, span: Span | None) -> ParityCheck:
        """What is to be compared when the plan is executed.

        Raises:
            SurgeryError: code ``check-failed``; the two cannot be compared.
        """
        name = self.like.describe()
        if OPEN in (self.output, self.module, *(drawn.name for drawn in self.input)):
            raise fail("parameter", "what is compared is a parameter without a value", span)
        if reference.skeleton is None:
            note = "a checkpoint has no modules: `{torchvision: …}`, or a `{recipe: …}` that loads it into a model"
            raise fail("check-failed", f"{name} is no model that could be run", span, (note,))
        for drawn in self.input:
            if min(drawn.shape, default=1) < 1:
                raise fail("check-failed", f"there can be no input of {list(drawn.shape)}", span)
            if (size := 4 * prod(drawn.shape)) > limits().tensor:
                raise exceeded("tensor", f"the input takes {format_bytes(size)}", span, needed=size)
        modules = self._modules(subject, host or reference, span)
        return ParityCheck(self, subject, in_memory(reference), modules, span)

    def _modules(self, subject: Subject, host: Subject, span: Span | None) -> Subject:
        """What a bare state dict runs in; of a model, its own modules.

        Raises:
            SurgeryError: code ``check-failed``; it does not fit.
        """
        if subject.skeleton is not None:
            return subject
        name = (self.into or self.like).describe()
        if host.skeleton is None:
            raise fail("check-failed", f"{name} is no model that could be run", span)
        differences = differences_from(host, subject)
        if not differences:
            return hosted(subject, host)
        if self.into is not None and by_its_library(host):
            return host
        message = f"the result cannot run as {name}: {differences.totals()}"
        raise fail("check-failed", message, span, likeness_notes(differences, name))


@dataclass(frozen=True, slots=True)
class _Parity(Kind):
    """A mapping of the fields of `Parity`."""

    takes_mapping: ClassVar[bool] = True

    def read(self, node: Node, reader: Reader) -> Parity | None:
        return reader.fields(Parity, node)

    def schema(self) -> dict[str, Any]:
        return object_schema(Parity)


parity = _Parity()
