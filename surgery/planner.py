"""From a recipe with its parameters bound to a plan: sources opened, steps applied, everything accounted for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import SurgeryError, fail
from surgery.optimizers import follow_optimizers
from surgery.plan import Plan
from surgery.planning.context import Context
from surgery.sinks.target import check_outputs
from surgery.sources.base import Source
from surgery.sources.given import Given
from surgery.steps.sequence import apply_steps
from surgery.tensors.expr import Held, Initial, leaves
from surgery.tensors.subject import Entry, Origin, Subject

if TYPE_CHECKING:
    from surgery.recipe import Bound, Recipe
    from surgery.sinks.base import Output

__all__ = ["make_plan"]


def make_plan(
    recipe: Recipe,
    bound: Bound,
    *,
    allow: Iterable[str] = (),
    given: Mapping[str, Any] | None = None,
    outputs: tuple[Output, ...] | None = None,
) -> Plan:
    """The plan of a recipe. No tensor data is read, and nothing is written.

    Args:
        recipe: the recipe, for the record.
        bound: the same with its parameters bound.
        allow: permissions: ``network``, ``pickle``, ``import:mypkg``.
        given: objects that the caller holds, by name; a recipe without a source takes the only one.
        outputs: where the result goes, in the place of what the recipe says.

    Raises:
        SurgeryError: everything that is wrong.
    """
    context = Context(
        seed=bound.seed, allow=frozenset(allow), directory=Path(recipe.directory), given=dict(given or {})
    )
    subject = apply_steps(bound.steps, _open(bound, context), context)
    if bound.expect is not None:
        subject = bound.expect.check_plan(subject, context)
    _check_values(subject, context)
    wanted = bound.outputs if outputs is None else outputs
    if any(output.container == "keep" for output in wanted):
        subject = follow_optimizers(subject, context)
    check_outputs(wanted, subject, context)
    context.raise_errors()
    _announce(subject)
    plan = Plan(
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
        allow=context.allow,
        run_checks=tuple(context.run_checks),
    )
    from surgery.engine.cost import cost_of

    return dataclasses.replace(plan, cost=cost_of(plan))


def _check_values(subject: Subject, context: Context) -> None:
    """A tensor that was given on the meta device has no values, so something must have taken its place by now."""
    hollow = [
        key
        for key, entry in (subject.entries.items() if context.given else ())
        if entry.device != "meta"
        and any(isinstance(leaf, Held) and getattr(leaf.tensor, "is_meta", False) for leaf in leaves(entry.expr))
    ]
    if hollow:
        listed = ", ".join(f"`{key}`" for key in hollow[:5]) + (f" and {len(hollow) - 5} more" if len(hollow) > 5 else "")
        note = "a model built on the meta device gets its values from a `load` step"
        context.report("no-values", f"{listed}: given on the meta device, so without values", notes=(note,))


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


def _open(bound: Bound, context: Context) -> Subject:
    """The subject that the steps begin with."""
    if bound.sources:
        return _open_together(bound.sources, context)
    source = bound.source or _given(context)
    if bound.source is not None and context.given and not _uses_given(bound):
        names = ", ".join(f"`{name}`" for name in context.given)
        raise fail("not-given", f"the recipe has a source of its own, and {names} is given too")
    return source.open(context)


def _uses_given(bound: Bound) -> bool:
    """Whether the recipe names given objects itself, so that they need not be its source."""
    from surgery.steps.load import Load

    sources = [bound.source, *(p.step.from_ for p in bound.steps if isinstance(p.step, Load))]
    return any(isinstance(source, Given) for source in sources)


def _given(context: Context) -> Source:
    if len(context.given) == 1:
        return Given(next(iter(context.given)))
    if not context.given:
        note = "`source: {torchvision: …}` or `source: {checkpoint: …}`; from Python, `model=` or `state_dict=`"
        raise fail("not-given", "the recipe has no source, and nothing is given", notes=(note,))
    raise fail("not-given", "the recipe has no source, and several objects are given")


def _open_together(sources: Mapping[str, Source], context: Context) -> Subject:
    """Several sources in one bare state dict, each below its own name."""
    entries: dict[str, Entry] = {}
    inventory = dict(context.inventory)
    wrong: list[SurgeryError] = []
    for name, source in sources.items():
        context.inventory = {}
        try:
            subject = source.open(context)
        except SurgeryError as error:
            wrong.append(error)
            continue
        inventory |= {Origin(name, origin.key): spec for origin, spec in context.inventory.items()}
        for key, entry in subject.entries.items():
            origins = tuple(Origin(name, origin.key) for origin in entry.origins)
            entries[f"{name}.{key}"] = dataclasses.replace(entry, origins=origins)
    context.inventory = inventory
    if wrong:
        raise SurgeryError(d for error in wrong for d in error.diagnostics)
    return Subject(entries)
