"""The ledger: what became of every source tensor, and where every result tensor comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from surgery.tensors.expr import Computed, Initial, TensorExpr, leaves
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Touch

if TYPE_CHECKING:
    from surgery.plan import Plan

__all__ = ["Fate", "Ledger", "Outcome", "account", "initialised"]

#: kept under its key; renamed; consumed by a computation; dropped by a rule; never used by any step
Outcome: TypeAlias = Literal["kept", "renamed", "consumed", "dropped", "unused"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one source tensor.

    Attributes:
        origin: the source and the key in it.
        spec: shape and dtype in the source.
        outcome: in one word.
        targets: the result keys that it went into.
        touches: what the rules did to it on its way, in order.
    """

    origin: Origin
    spec: Spec
    outcome: Outcome
    targets: tuple[str, ...] = ()
    touches: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Both sides of the account: `sources` says where each tensor went, `results` where each comes from."""

    sources: tuple[Fate, ...]
    results: Mapping[str, Entry]

    def count(self) -> dict[Outcome, int]:
        """How many source tensors ended in each way."""
        counts: dict[Outcome, int] = {"kept": 0, "renamed": 0, "consumed": 0, "dropped": 0, "unused": 0}
        for fate in self.sources:
            counts[fate.outcome] += 1
        return counts


def account(plan: Plan) -> Ledger:
    """The ledger of a plan: every tensor of every source has exactly one fate."""
    targets: dict[Origin, list[str]] = {}
    for key, entry in plan.subject.entries.items():
        for origin in entry.origins:
            targets.setdefault(origin, []).append(key)
    dropped: dict[Origin, Touch] = {}
    for drop in plan.drops:
        for origin in drop.origins:
            dropped.setdefault(origin, drop.touch)
    fates = []
    for origin, spec in plan.before.items():
        if origin in targets:
            fates.append(_used(origin, spec, targets[origin], plan.subject.entries))
        elif origin in dropped:
            fates.append(Fate(origin, spec, "dropped", (), (dropped[origin],)))
        else:
            fates.append(Fate(origin, spec, "unused"))
    return Ledger(tuple(fates), plan.subject.entries)


def _used(origin: Origin, spec: Spec, targets: list[str], entries: Mapping[str, Entry]) -> Fate:
    """A tensor that reached the result: as it was under some key, or only as part of what was computed."""
    # the same object in the trails of several results; comparing touches by value is slow
    touches = tuple({id(touch): touch for key in targets for touch in entries[key].trail}.values())
    whole = [key for key in targets if not any(touch.computes for touch in entries[key].trail)]
    outcome: Outcome = "consumed" if not whole else "kept" if origin.key in whole else "renamed"
    return Fate(origin, spec, outcome, tuple(targets), touches)


def initialised(entry: Entry) -> str | None:
    """How a tensor without a source is made: ``Linear(512, 10)``; None where it has one."""
    if entry.origins:
        return None
    return _description(entry.expr)


def _description(expr: TensorExpr) -> str:
    if isinstance(expr, Initial):
        return expr.producer.describe(expr.name)
    if isinstance(expr, Computed):
        made = [_description(leaf) for leaf in leaves(expr) if isinstance(leaf, Initial)]
        return " and ".join(dict.fromkeys(made)) or str(expr.operation)
    return "stored"
