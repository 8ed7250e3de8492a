"""The result of a run: files that were written, and the tensors or the model for Python."""

from __future__ import annotations

import dataclasses
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from surgery.changes import refuse_changes
from surgery.diagnostics import fail
from surgery.garbage import without_collection
from surgery.limits import in_force
from surgery.tensors.expr import Held, Stored, Strided, leaves

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from surgery.plan import Plan
    from surgery.provenance.record import Record
    from surgery.sinks.base import Progress, Written
    from surgery.tensors.subject import Entry

__all__ = ["Result", "carry_out"]


class Result:
    """What a recipe made.

    Without outputs the tensors are made at once. With outputs they are made when `model` or `state_dict` is first asked
    for, from the sources, so that a run that only writes files never holds them. Either way they are a snapshot: they
    share no storage with anything that was given. (What a `device_map` leaves on the disk is used from its file.)

    Attributes:
        plan: what was carried out.
        written: what was written, one for each output.
        record: what made it, as the outputs say; None where there are none.
    """

    def __init__(
        self,
        plan: Plan,
        written: tuple[Written, ...],
        tensors: Mapping[str, Tensor] | None = None,
        record: Record | None = None,
    ) -> None:
        self.plan = plan
        self.written = written
        self.record = record
        self._tensors = tensors
        self._weights: Mapping[str, Tensor] | None = None
        self._model: Module | None = None

    @property
    def state_dict(self) -> dict[str, Tensor]:
        """The tensors by key. Tied keys hold one tensor, and a model's state dict shares its tensors with `model`.

        What a `device_map` leaves on the disk is on the meta device here, as it is in ``model.state_dict()``.
        Where the source had torch's `_metadata` (the versions of its modules), the result has it, under the new names.
        """
        from surgery.formats.following import following

        rest = following(self.plan.subject)
        if rest is None or rest.state_metadata is None:
            return dict(self._materialised())
        state = OrderedDict(self._materialised())
        state._metadata = OrderedDict(rest.state_metadata)  # type: ignore[attr-defined]
        return state

    @property
    def model(self) -> Module:
        """The model, ready to use.

        Raises:
            SurgeryError: the result is a bare state dict.
        """
        if self.plan.subject.skeleton is None:
            notes = (
                "`rename`, `copy`, `convert`, `create`, `filter` and `unwrap` leave a bare state dict of a model",
                "of a wrapped model, `extract: module` is the model inside",
            )
            raise fail("needs-a-model", "the result is a bare state dict: `.state_dict` has its tensors", notes=notes)
        if self._model is None:
            from surgery.engine.extra import extra_state
            from surgery.model.assemble import assemble

            with in_force(self.plan.limits):
                tensors = self._materialised()
                extra = extra_state(self.plan.subject, self.plan.files)
                self._model = assemble(self.plan.subject, tensors, self._weights, extra)
        return self._model

    @property
    def report(self) -> str:
        """What was done, for people."""
        from surgery.report.result import result_text

        return result_text(self)

    def _materialised(self) -> Mapping[str, Tensor]:
        if self._tensors is None:
            from surgery.engine.evaluate import materialise
            from surgery.model.devices import refuse_absent

            entries = self.plan.subject.entries
            self._refuse_overwritten()
            refuse_absent(entries.values())
            with in_force(self.plan.limits):
                self._weights = self._offloaded()
                self._tensors = materialise(_without_disk(entries), states=self.plan.files)
        return self._tensors

    def _offloaded(self) -> Mapping[str, Tensor] | None:
        """What stays on the disk, to be read from there; what lies nowhere as it is gets written first."""
        if all(entry.device != "disk" for entry in self.plan.subject.entries.values()):
            return None
        from surgery.engine.offload import offload

        return offload(self.plan.subject, self.plan.files)

    def _refuse_overwritten(self) -> None:
        """Tensors that are still in files cannot be read from where an output stands now."""
        replaced = {
            os.path.realpath(w.path / name if w.path.is_dir() else w.path) for w in self.written for name in w.files
        }
        for file in self._sources():
            if os.path.realpath(file) in replaced:
                note = "load the output instead, or write it elsewhere"
                raise fail(
                    "source-changed", f"`{file}` was replaced by the output: its tensors are gone", notes=(note,)
                )

    def _sources(self) -> Iterator[str]:
        """The files that tensors of the result are read from."""
        for entry in self.plan.subject.entries.values():
            for leaf in leaves(entry.expr):
                pieces = leaf.ranges if isinstance(leaf, Stored) else ()
                yield from (piece.path for piece in pieces)
                if isinstance(leaf, Strided):
                    yield leaf.storage.path

    def __repr__(self) -> str:
        return self.report.rstrip("\n")

    def _repr_html_(self) -> str:
        from surgery.report.html import result_html

        return result_html(self)


@without_collection()
def carry_out(plan: Plan, progress: Progress | None = None, *, digest: bool = False) -> Result:
    """Execute a plan; see `Plan.execute`."""
    from surgery.engine.execute import write_outputs
    from surgery.provenance.making import record_of

    refuse_changes(plan)
    result = Result(plan, ())
    for check in plan.run_checks:
        check.run(result._materialised(), result._weights)
    if not plan.outputs:
        result._materialised()
        return result
    record = record_of(plan, digest=digest) if any(output.provenance for output in plan.outputs) else None
    written = write_outputs(plan, progress, provenance=record.to_text() if record else "", digest=digest)
    result.written, result.record = written, record
    held = any(isinstance(leaf, Held) for e in plan.subject.entries.values() for leaf in leaves(e.expr))
    if plan.given and held:
        # whoever holds these tensors may change them from now on
        result._materialised()
    return result


def _without_disk(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries with those on the disk on the meta device, where nothing is read for them."""
    return {k: dataclasses.replace(e, device="meta") if e.device == "disk" else e for k, e in entries.items()}
