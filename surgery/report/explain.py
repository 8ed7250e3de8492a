"""One line of the ledger: where a result tensor comes from, or what became of a source tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from surgery.diagnostics import fail
from surgery.ledger import Fate, account, initialised
from surgery.plan import Plan
from surgery.report.lines import Line, line, piece
from surgery.report.table import Cell, table
from surgery.suggest import did_you_mean
from surgery.tensors.subject import Entry, Touch
from surgery.wording import listed

__all__ = ["explain_lines", "fates_of"]

_MOST_TARGETS = 12


def explain_lines(plan: Plan, key: str) -> list[Line]:
    """Everything that the ledger says of a key, as a tensor of the result and as one of the sources.

    Raises:
        SurgeryError: code ``unknown-key``; there is no such tensor on either side.
    """
    fates = fates_of(plan, key)
    entry = plan.subject.entries.get(key)
    found = _result(key, entry, plan) if entry else []
    for fate in fates:
        if entry is not None and fate.outcome == "kept" and fate.targets == (key,):
            # the lines of the result have said all of it
            continue
        found += [*([()] if found else []), *_source(fate)]
    return found


def fates_of(plan: Plan, key: str) -> list[Fate]:
    """What became of the source tensors of this key.

    Raises:
        SurgeryError: code ``unknown-key``; there is no such tensor, neither in a source nor in the result.
    """
    fates = [fate for fate in account(plan).sources if fate.origin.key == key]
    if not fates and key not in plan.subject.entries:
        known = dict.fromkeys([*plan.subject.entries, *(origin.key for origin in plan.before)])
        near = did_you_mean(key, known, most=3)
        note = near or f"the result has {len(plan.subject.entries)} keys; `surgery plan` shows them"
        raise fail("unknown-key", f"`{key}` is no key of the result and none of a source", notes=(note,))
    return fates


def _result(key: str, entry: Entry, plan: Plan) -> list[Line]:
    facts = [str(entry.spec), entry.kind or ""]
    if entry.requires_grad is not None and entry.kind == "parameter":
        facts.append("trained" if entry.requires_grad else "frozen")
    facts.append(f"on {entry.device}" if entry.device else "")
    found = [line(piece(key, "title"), "  in the result  ", ", ".join(fact for fact in facts if fact))]
    tied = [k for group in plan.subject.ties() if key in group for k in group if k != key]
    if tied:
        found.append(line(f"  tied to {', '.join(tied)}"))
    made = initialised(entry)
    if made is not None:
        found.append(line("  new: ", piece(made, "new")))
    rows: list[list[Cell]] = []
    for origin in entry.origins:
        spec = plan.before.get(origin)
        rows.append(["from", f"{PurePath(origin.source).name}  {origin.key}", piece(spec or "", "quiet")])
    found += table(rows, "lll", indent=2)
    return found + _touches(entry.trail)


def _source(fate: Fate) -> list[Line]:
    source = PurePath(fate.origin.source).name or fate.origin.source
    found = [line(piece(fate.origin.key, "title"), f"  of {source}  {fate.spec}")]
    style = {"dropped": "gone", "unused": "warning", "consumed": "changed"}.get(fate.outcome, "good")
    said = {"unused": "no step uses it, and it is not in the result"}.get(fate.outcome, "")
    if fate.targets:
        said = f"into {listed(fate.targets, _MOST_TARGETS, mark='')}"
    found.append(line("  ", piece(fate.outcome, style), f"  {said}" if said else ""))
    return found + _touches(_of_one(fate.origin.key, fate.touches))


def _of_one(key: str, touches: Sequence[Touch]) -> list[Touch]:
    """What was done to one source tensor: a result that is made of many carries what was done to each of them."""
    names, found = {key}, []
    for touch in touches:
        left, arrow, right = touch.action.partition(" -> ")
        subject, colon, _ = left.partition(": ")
        several = "{" in subject or "…" in subject
        if several or names & set(subject.split(", ")):
            found.append(touch)
            if arrow and not colon:
                names.add(right.partition(" via ")[0])
    return found or list(touches)


def _touches(touches: Sequence[Touch]) -> list[Line]:
    rows: list[list[Cell]] = []
    for touch in touches:
        place = piece(touch.span.place if touch.span else "", "quiet")
        rows.append([piece(touch.step, "head"), touch.action, place])
    return table(rows, "lll", indent=2)
