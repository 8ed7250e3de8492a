"""What is true of a plan as a whole: counts and sizes of what goes in and what comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from surgery.ledger import initialised
from surgery.plan import Plan
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry

__all__ = ["Totals", "devices_of", "new_tensors", "sources_of", "totals_of", "trained_of", "untouched"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over tensors; tied ones count once in all but `tensors`.

    Attributes:
        tensors: how many keys.
        values: how many elements.
        parameters: how many elements of parameters; None where it is not known which are parameters.
        nbytes: bytes of all of them.
        dtypes: dtype name -> number of keys, the most frequent first.
    """

    tensors: int
    values: int
    parameters: int | None
    nbytes: int
    dtypes: Mapping[str, int]


def totals_of(entries: Iterable[Entry]) -> Totals:
    """The sums over the entries of a subject."""
    found = list(entries)
    distinct: dict[TensorExpr, Entry] = {entry.expr: entry for entry in found}
    parameters = [entry.spec.numel for entry in distinct.values() if entry.kind == "parameter"]
    known = all(entry.kind is not None for entry in distinct.values())
    return Totals(
        tensors=len(found),
        values=sum(entry.spec.numel for entry in distinct.values()),
        parameters=sum(parameters) if known and distinct else None,
        nbytes=sum(entry.spec.nbytes for entry in distinct.values()),
        dtypes=dict(Counter(entry.spec.dtype.name for entry in found).most_common()),
    )


def sources_of(plan: Plan) -> dict[str, list[Spec]]:
    """The source tensors of a plan, by source."""
    found: dict[str, list[Spec]] = {}
    for origin, spec in plan.before.items():
        found.setdefault(origin.source, []).append(spec)
    return found


def new_tensors(plan: Plan) -> dict[str, list[str]]:
    """How tensors without a source are made -> their keys."""
    found: dict[str, list[str]] = {}
    for key, entry in plan.subject.entries.items():
        how = initialised(entry)
        if how is not None:
            found.setdefault(how, []).append(key)
    return found


def devices_of(plan: Plan) -> dict[str, list[str]]:
    """Device -> its keys; empty where nothing is said of devices, so that all is on the CPU."""
    found: dict[str, list[str]] = {}
    for key, entry in plan.subject.entries.items():
        found.setdefault(entry.device or "cpu", []).append(key)
    mapped = any(step.name == "device_map" for step in plan.recipe.steps)
    return found if mapped or set(found) != {"cpu"} else {}


def trained_of(plan: Plan) -> tuple[list[str], int]:
    """The parameters that are trained, and how many there are; ``([], 0)`` where none is frozen."""
    known = {key: entry for key, entry in plan.subject.entries.items() if entry.kind == "parameter"}
    trained = [key for key, entry in known.items() if entry.requires_grad is not False]
    return (trained, len(known)) if len(trained) < len(known) else ([], 0)


def untouched(plan: Plan) -> int:
    """How many tensors of the result are a source tensor of the same key, with its values, shape and dtype."""
    entries = [(key, entry) for key, entry in plan.subject.entries.items() if not _computed(entry)]
    return sum(
        1 for key, entry in entries if any(o.key == key and plan.before.get(o) == entry.spec for o in entry.origins)
    )


def _computed(entry: Entry) -> bool:
    return any(touch.computes for touch in entry.trail)
