"""Reports as JSON documents, for programs. The command line adds ``"version": 1`` to each.

Within a version fields are only added. Shapes are lists of integers, sizes are bytes, and a place is
``{"file", "line", "column", "length"}`` with lines and columns from 1, or null.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surgery.diagnostics import Diagnostic, Span
from surgery.garbage import without_collection
from surgery.ledger import Fate, account, initialised
from surgery.plan import Plan
from surgery.planning.context import Context
from surgery.report.facts import totals_of
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Subject, Touch

if TYPE_CHECKING:
    from surgery.report.inspect import Inspection
    from surgery.report.match import Selected
    from surgery.result import Result

__all__ = [
    "check_document",
    "errors_document",
    "explain_document",
    "inspect_document",
    "match_document",
    "place_document",
    "plan_document",
    "result_document",
    "rule_document",
]

_JSON = dict[str, Any]


def place_document(span: Span | None) -> _JSON | None:
    """``file``, ``line``, ``column`` and ``length``."""
    if span is None:
        return None
    return {"file": span.file, "line": span.line, "column": span.column, "length": span.length}


def _diagnostic(diagnostic: Diagnostic) -> _JSON:
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "place": place_document(diagnostic.span),
        "notes": list(diagnostic.notes),
        "exit": diagnostic.exit_code,
    }


def errors_document(diagnostics: Iterable[Diagnostic]) -> _JSON:
    """``errors``: severity, code, message, place, notes, and the exit status of each."""
    return {"errors": [_diagnostic(diagnostic) for diagnostic in diagnostics]}


def check_document(found: Mapping[str, Sequence[Diagnostic]]) -> _JSON:
    """``recipes``: for each its ``file``, whether it is ``ok``, and its ``errors``."""
    recipes = []
    for name, diagnostics in found.items():
        wrong = any(diagnostic.severity == "error" for diagnostic in diagnostics)
        recipes.append({"file": name, "ok": not wrong, "errors": [_diagnostic(d) for d in diagnostics]})
    return {"recipes": recipes}


def _spec(spec: Spec | None) -> _JSON:
    if spec is None:
        return {"dtype": None, "shape": None, "bytes": None}
    return {"dtype": spec.dtype.name, "shape": list(spec.shape), "bytes": spec.nbytes}


def _origin(origin: Origin) -> _JSON:
    return {"source": origin.source, "key": origin.key}


def _touch(touch: Touch) -> _JSON:
    return {"step": touch.step, "action": touch.action, "computes": touch.computes, "place": place_document(touch.span)}


def _entry(key: str, entry: Entry) -> _JSON:
    return {
        "key": key,
        **_spec(entry.spec),
        "kind": entry.kind,
        "requires_grad": entry.requires_grad,
        "device": entry.device,
        "from": [_origin(origin) for origin in entry.origins],
        "new": initialised(entry),
        "by": [_touch(touch) for touch in entry.trail],
    }


def _fate(fate: Fate) -> _JSON:
    return {
        **_origin(fate.origin),
        **_spec(fate.spec),
        "outcome": fate.outcome,
        "into": list(fate.targets),
        "by": [_touch(touch) for touch in fate.touches],
    }


@without_collection()
def plan_document(plan: Plan) -> _JSON:
    """Both sides of the ledger, and what the plan costs.

    ``recipe``, ``params``; ``totals``: tensors, values, parameters (null where unknown), bytes; ``sources``: every
    source tensor with its ``outcome`` (kept, renamed, consumed, dropped, unused), the keys it went ``into``, and ``by``
    what; ``results``: every tensor of the result, ``from`` which source tensors, how it is initialised if it is
    ``new``, and ``by`` what; ``modules``: what was done to modules; ``tied``: groups of keys; ``devices``: bytes of the
    result on each; ``cost``: bytes to read, to write, and the peak of memory; ``outputs``, ``warnings``, ``remarks``,
    and ``files`` with their sizes; ``included``: the recipes that were brought in, with their digests and commits.
    """
    totals = totals_of(plan.subject.entries.values())
    return {
        "recipe": plan.recipe.name,
        "params": {name: _plain(value) for name, value in plan.params.items()},
        "totals": {
            "tensors": totals.tensors,
            "values": totals.values,
            "parameters": totals.parameters,
            "bytes": totals.nbytes,
        },
        "sources": [_fate(fate) for fate in account(plan).sources],
        "results": [_entry(key, entry) for key, entry in plan.subject.entries.items()],
        "modules": [_touch(touch) for touch in plan.modules],
        "tied": [list(group) for group in plan.subject.ties()],
        "devices": _devices(plan),
        "cost": dataclasses.asdict(plan.cost),
        "outputs": [{"path": o.path, "format": o.format, "overwrite": o.overwrite} for o in plan.outputs],
        "warnings": [_diagnostic(warning) for warning in plan.warnings],
        "remarks": list(plan.remarks),
        "files": {path: state.size for path, state in plan.files.items()},
        "included": [
            {"reference": name, "sha256": found.sha256, "commit": found.commit} for name, found in plan.included.items()
        ],
    }


def _devices(plan: Plan) -> dict[str, int]:
    """Device -> bytes of the tensors there, tied ones once."""
    found: dict[str, list[Entry]] = {}
    for entry in plan.subject.entries.values():
        found.setdefault(entry.device or "cpu", []).append(entry)
    return {device: totals_of(entries).nbytes for device, entries in found.items()}


def _plain(value: Any) -> Any:
    """A parameter's value as JSON holds it; what it cannot hold becomes text."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def result_document(result: Result) -> _JSON:
    """``written``: each output's path, files with their sizes in bytes, tensors, notes; ``warnings``, ``remarks``."""
    written = [
        {"path": str(one.path), "files": dict(one.files), "tensors": one.tensors, "notes": list(one.notes)}
        for one in result.written
    ]
    warnings = [_diagnostic(warning) for warning in result.plan.warnings]
    return {
        "recipe": result.plan.recipe.name,
        "written": written,
        "warnings": warnings,
        "remarks": list(result.plan.remarks),
    }


def explain_document(plan: Plan, key: str, fates: Sequence[Fate]) -> _JSON:
    """``key``; ``result``: the tensor of that key, or null; ``sources``: the fates of source tensors of that key."""
    entry = plan.subject.entries.get(key)
    return {"key": key, "result": _entry(key, entry) if entry else None, "sources": [_fate(fate) for fate in fates]}


def match_document(selected: Sequence[Selected], subject: Subject) -> _JSON:
    """``tensors``: how many there are; ``selected``: key, spec, what each capture and wildcard took, and the rest."""
    return {
        "tensors": len(subject.entries),
        "selected": [
            {
                "key": one.key,
                **_spec(one.spec),
                "took": [{"part": part, "text": text} for part, text in one.captures],
                "rest": one.rest,
            }
            for one in selected
        ],
    }


def rule_document(subject: Subject, result: Subject, context: Context) -> _JSON:
    """What a rule does: the tensors ``before``, those ``after`` it with what was done, and what it ``dropped``."""
    return {
        "before": [{"key": key, **_spec(entry.spec)} for key, entry in subject.entries.items()],
        "after": [_entry(key, entry) for key, entry in result.entries.items()],
        "dropped": [_origin(origin) for drop in context.drops for origin in drop.origins],
    }


def inspect_document(inspection: Inspection) -> _JSON:
    """What a checkpoint holds.

    ``path``, ``format``, ``files`` with their sizes; ``state_dicts``: for each its ``entry`` (null for the whole file),
    its ``tensors`` and the groups of keys that are ``tied``; ``others``: what else there is, in words; ``metadata``;
    ``remarks`` on how it was read.
    """
    from surgery.report.contents import node_words
    from surgery.tensors.subject import tie_groups

    checkpoint = inspection.checkpoint
    states = [
        {
            "entry": ".".join(state.entry) or None,
            "tensors": [
                {"key": key, **_spec(expr.spec), "kind": state.kinds.get(key)} for key, expr in state.tensors.items()
            ],
            "tied": [list(group) for group in tie_groups(state.tensors.items())],
        }
        for state in inspection.states
    ]
    return {
        "path": inspection.name,
        "format": checkpoint.format,
        "files": {path: state.size for path, state in checkpoint.files.items()},
        "state_dicts": states,
        "others": {name: node_words(node) for name, node in inspection.others.items()},
        "metadata": dict(checkpoint.metadata),
        "remarks": list(checkpoint.remarks),
    }
