"""The comparison itself: both models run on one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from surgery.diagnostics import Span, fail
from surgery.parity.hosts import loaded_by_its_library
from surgery.tensors.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from surgery.parity.declared import Parity

__all__ = ["ParityCheck"]

#: of the reference and of the result: the whole of it, and what messages call it
_WHOLE = (None, None)
_CALLED = ("the reference", "the result")


@dataclass(frozen=True, slots=True)
class ParityCheck:
    """A comparison that waits for the tensors of the result.

    Attributes:
        parity: what is compared.
        subject: the result.
        reference: the model that it is compared with.
        modules: what the result runs in: entries of the result in the modules of some model; or a model as it is, whose
            library loads the result into it.
        span: the place of the expectation.
    """

    parity: Parity
    subject: Subject
    reference: Subject
    modules: Subject
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
        from surgery.model.outputs import apart, distance, first_difference, outputs_of, seeded_inputs

        wanted = self.parity
        values = seeded_inputs([(drawn.shape, drawn.below) for drawn in wanted.input], wanted.seed)
        reference = assemble(self.reference, materialise(self.reference.entries)).eval()
        result = self._result(tensors, weights).eval()
        one, other = self._part(reference, 0), self._part(result, 1)
        at, outputs = wanted.at or _WHOLE, wanted.output or _WHOLE
        names = list(zip(*(drawn.name or _WHOLE for drawn in wanted.input), strict=True)) or [(), ()]
        expected = outputs_of(one, values, _CALLED[0], self.span, names=names[0], at=at[0], output=outputs[0])
        if not any(tensor.any() for tensor in expected):
            raise fail("check-failed", "the reference gives nothing but zeros, which proves nothing", self.span)
        found = outputs_of(other, values, _CALLED[1], self.span, names=names[1], at=at[1], output=outputs[1])
        off = distance(expected, found)
        if off <= wanted.tolerance:
            return
        name = wanted.like.describe()
        notes = [f"relative to the largest value; `tolerance` is {wanted.tolerance:.2g}"]
        if wanted.into is None:
            # modules of other implementations are others, whatever they are called
            first = first_difference(one, other, values, wanted.tolerance, names[0])
            by = f", by {first[1]:.2g}" if first and isfinite(first[1]) else ""
            notes.insert(0, f"`{first[0]}` is the first module that differs{by}" if first else "no module differs")
        message = f"the outputs of the result are not those of {name}: {apart(expected, found, off)}"
        raise fail("check-failed", message, self.span, notes)

    def _result(self, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor] | None) -> Module:
        from surgery.model.assemble import assemble

        if self.modules is self.subject:
            return assemble(self.subject, tensors, weights)
        assert self.modules.skeleton is not None, "checked by the plan"
        made = {id(self.subject.entries[key].expr): tensor for key, tensor in tensors.items()}
        entries = self.modules.entries
        if all(id(entry.expr) in made for entry in entries.values()):
            return assemble(self.modules, {key: made[id(entry.expr)] for key, entry in entries.items()}, weights)
        return loaded_by_its_library(self.modules.skeleton.module, tensors, self.span)

    def _part(self, model: Module, side: int) -> Module:
        from surgery.model.outputs import submodule

        path = (self.parity.module or _WHOLE)[side]
        return model if path is None else submodule(model, path, _CALLED[side], self.span)
