"""From a recipe with its parameters bound to a plan: sources opened, steps applied, everything accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from surgery.garbage import without_collection
from surgery.inclusion import surroundings
from surgery.locking.pins import Pins
from surgery.opening import check_given, open_sources
from surgery.optimizers import follow_optimizers
from surgery.permissions import permissions
from surgery.plan import Plan
from surgery.planning.context import Context
from surgery.rest import rest_remarks, without_left
from surgery.sinks.offload import check_offload
from surgery.sinks.target import check_outputs
from surgery.steps.sequence import apply_steps
from surgery.tensors.expr import Held, Initial, leaves
from surgery.tensors.subject import Subject
from surgery.wording import listed

if TYPE_CHECKING:
    from surgery.recipe import Bound, Recipe
    from surgery.sinks.base import Output

__all__ = ["make_plan"]


@without_collection()
def make_plan(
    recipe: Recipe,
    bound: Bound,
    *,
    allow: Iterable[str] = (),
    given: Mapping[str, Any] | None = None,
    outputs: tuple[Output, ...] | None = None,
    overwrite: bool = False,
    pins: Pins | None = None,
) -> Plan:
    """The plan of a recipe. No tensor data is read, and nothing is written.

    Args:
        recipe: the recipe, for the record.
        bound: the same with its parameters bound.
        allow: permissions: ``network``, ``import:mypkg``.
        given: objects that the caller holds, by name; a recipe without a source takes the only one.
        outputs: where the result goes, in the place of what the recipe says.
        overwrite: whether what steps leave on the disk may replace what is there.
        pins: what recipes and sources are locked to.

    Raises:
        SurgeryError: everything that is wrong.
    """
    context = surroundings(
        recipe, seed=bound.seed, allow=permissions(allow), given=dict(given or {}), overwrite=overwrite, pins=pins
    )
    wanted = bound.outputs if outputs is None else outputs
    if pins is not None:
        pins.check_top(context)
    subject = _result(bound, wanted, context)
    check_outputs(wanted, subject, context)
    check_offload(subject, context)
    if pins is not None:
        pins.check_sources(context)
    context.raise_errors()
    _announce(subject)
    return Plan(
        recipe=recipe,
        params=bound.values,
        before=context.inventory,
        subject=subject,
        drops=tuple(context.drops),
        modules=tuple(context.modules),
        outputs=wanted,
        warnings=tuple(context.diagnostics),
        remarks=tuple(context.remarks),
        files=context.files,
        opened=tuple(context.opened),
        included=context.included,
        brought=context.brought,
        allow=context.allow,
        given=bool(context.given),
        run_checks=tuple(context.run_checks),
    )


def _result(bound: Bound, outputs: tuple[Output, ...], context: Context) -> Subject:
    """The subject after all steps, checked, and with what else of the checkpoint the outputs want."""
    subject = apply_steps(bound.steps, open_sources(bound, context), context)
    if bound.expect is not None:
        subject = bound.expect.check_plan(subject, context)
    check_given(bound, context)
    _check_values(subject, context)
    _remark_frozen(subject, context)
    subject = without_left(subject, outputs, context)
    kept = [output for output in outputs if output.container == "keep"]
    if kept:
        targets = {tuple(output.entry.split(".")) for output in kept if output.entry}
        subject = follow_optimizers(subject, context, targets)
    context.remarks.extend(rest_remarks(subject, outputs))
    if not subject.entries:
        context.report("empty-result", "the result has no tensors", warning=True)
    return subject


def _remark_frozen(subject: Subject, context: Context) -> None:
    """Say which parameters of new layers are not trained, only because those that they replace were not."""
    frozen = [
        key
        for key, entry in subject.entries.items()
        if entry.kind == "parameter" and entry.requires_grad is False and not entry.origins
        if entry.trail and entry.trail[0].step == "replace_layer" and all(t.step != "freeze" for t in entry.trail)
    ]
    if frozen:
        context.remarks.append(f"new, and frozen as what was there before: {listed(frozen, 3)}; `unfreeze` trains it")


def _check_values(subject: Subject, context: Context) -> None:
    """A tensor that was given on the meta device has no values, so something must have taken its place by now."""
    hollow = [
        key
        for key, entry in (subject.entries.items() if context.given else ())
        if entry.device != "meta"
        and any(isinstance(leaf, Held) and getattr(leaf.tensor, "is_meta", False) for leaf in leaves(entry.expr))
    ]
    if hollow:
        note = "a model built on the meta device gets its values from a `load` step"
        context.report("no-values", f"{listed(hollow, 5)}: given on the meta device, so without values", notes=(note,))


def _announce(subject: Subject) -> None:
    """Tell what makes initial values which of them will be asked for, so that it keeps no others."""
    wanted: dict[int, tuple[Any, set[str]]] = {}
    for entry in subject.entries.values():
        for leaf in leaves(entry.expr):
            if isinstance(leaf, Initial):
                wanted.setdefault(id(leaf.producer), (leaf.producer, set()))[1].add(leaf.name)
    for producer, names in wanted.values():
        if hasattr(producer, "expect"):
            producer.expect(frozenset(names))
