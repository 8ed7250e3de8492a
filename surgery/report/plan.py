"""The plan screen: what will be done, before anything is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from string import Template

from surgery.diagnostics import Span
from surgery.document import MapNode
from surgery.garbage import without_collection
from surgery.ledger import Fate, account
from surgery.plan import Plan
from surgery.report.edits import edits_of
from surgery.report.facts import devices_of, new_tensors, sources_of, totals_of, trained_of, untouched
from surgery.report.lines import Line, line, piece, plain
from surgery.report.recipe import words_of
from surgery.report.steps import step_lines
from surgery.report.subtrees import brief
from surgery.report.table import Cell, table
from surgery.report.text import wrapped
from surgery.tensors.spec import format_bytes
from surgery.wording import counted

__all__ = ["cost_words", "plan_lines", "plan_text", "remark_lines", "totals_words", "warning_lines"]

_LABEL = 11


def plan_text(plan: Plan) -> str:
    """The plan as plain text."""
    return plain(plan_lines(plan))


@without_collection()
def plan_lines(plan: Plan, *, full: bool = False, columns: int | None = None) -> list[Line]:
    """The plan as lines; with `full`, every line of every rule."""
    found = [*_title(plan, columns), (), *_sources(plan, columns)]
    steps = edits_of(plan)
    if steps:
        found += [(), *step_lines(steps, plan.recipe.display, full=full, columns=columns)]
    found += [(), *_result(plan), *_account(plan), *_ending(plan)]
    return found + warning_lines(plan)


def remark_lines(plan: Plan) -> list[Line]:
    """What is worth telling of the plan, and of its result: what is left behind, ties that were broken."""
    return _few([line(remark) for remark in plan.remarks])


def warning_lines(plan: Plan) -> list[Line]:
    """The warnings, each after an empty line."""
    found: list[Line] = []
    for warning in plan.warnings:
        found += [(), *(line(piece(text, "warning")) for text in str(warning).split("\n"))]
    return found


def _title(plan: Plan, columns: int | None) -> list[Line]:
    recipe = plan.recipe
    words = [piece(recipe.name, "title")]
    given = ", ".join(f"{name}={value}" for name, value in plan.params.items())
    if given:
        words.append(piece(f"  {given}", "quiet"))
    return [line(*words), *wrapped(recipe.description, columns)]


def _labelled(label: str, lines: Iterable[Line]) -> list[Line]:
    """Lines side by side with a label: the first has it, the others are indented."""
    found = []
    for one in lines:
        found.append(line(piece(f"{label:<{_LABEL}}", "head"), *one))
        label = ""
    return found


def _sources(plan: Plan, columns: int | None) -> list[Line]:
    rows: list[list[Cell]] = []
    document = plan.recipe.document
    model = document.get("source") if isinstance(document, MapNode) else None
    if isinstance(model, MapNode) and "checkpoint" not in model:
        # a model without weights has no tensors of its own to count
        rows.append([Template(words_of(model)).safe_substitute(plan.params), "", ""])
    for source, specs in sources_of(plan).items():
        size = format_bytes(sum(spec.nbytes for spec in specs))
        rows.append([PurePath(source).name or source, counted(len(specs), "tensor"), size])
    beside = None if columns is None else columns - _LABEL
    return _labelled("source" if len(rows) == 1 else "sources", table(rows, "lrr", columns=beside))


def totals_words(plan: Plan) -> str:
    """The result in numbers: ``296 tensors, 4,652,008 parameters, 18.7 MB, float32``."""
    totals = totals_of(plan.subject.entries.values())
    values = f"{totals.values:,} values" if totals.parameters is None else f"{totals.parameters:,} parameters"
    dtypes = [name if len(totals.dtypes) == 1 else f"{count:,} {name}" for name, count in totals.dtypes.items()]
    kind = "a model of " if plan.subject.skeleton is not None else ""
    of = f", {' + '.join(dtypes)}" if dtypes else ""
    return f"{kind}{counted(totals.tensors, 'tensor')}, {values}, {format_bytes(totals.nbytes)}{of}"


def _result(plan: Plan) -> list[Line]:
    return _labelled("result", [line(piece(totals_words(plan), "title"))])


def _account(plan: Plan) -> list[Line]:
    """What became of the source tensors, what is new, what is tied, and where everything goes."""
    ledger = account(plan)
    entries = plan.subject.entries
    found = _labelled("untouched", [line(counted(untouched(plan), "tensor"))])
    counts = ledger.count()
    changed = [f"{counts[word]:,} {word}" for word in ("renamed", "consumed") if counts[word]]
    if changed:
        found += _labelled("changed", [line(piece(", ".join(changed), "changed"))])
    new = new_tensors(plan)
    if new:
        parts = [line(piece(f"{brief(keys, entries)}  {how}", "new")) for how, keys in new.items()]
        found += _labelled("new", _few(parts))
    found += _labelled("dropped", _few(_gone(plan, ledger.sources, "dropped")))
    found += _labelled("unused", _few(_gone(plan, ledger.sources, "unused")))
    ties = [line(" = ".join(group)) for group in plan.subject.ties()]
    found += _labelled("tied", _few(ties))
    trained, parameters = trained_of(plan)
    if parameters:
        count = f"{len(trained):,} of {parameters:,} parameters"
        found += _labelled("trained", [line(f"{count}  {brief(trained, entries)}")])
    rows: list[list[Cell]] = []
    for device, keys in devices_of(plan).items():
        size = format_bytes(totals_of(entries[key] for key in keys).nbytes)
        rows.append([device, size, brief(keys, entries)])
    found += _labelled("devices", _few(table(rows, "lrl")))
    return found + _labelled("remarks", remark_lines(plan))


def _few(lines: list[Line], most: int = 6) -> list[Line]:
    more = len(lines) - most
    return lines if more <= 1 else [*lines[:most], line(piece(f"… and {more} more", "quiet"))]


def _gone(plan: Plan, fates: Sequence[Fate], outcome: str) -> list[Line]:
    """Source tensors that reach no result, by source and by the rule that took them."""
    groups: dict[tuple[str, str], list[str]] = {}
    for fate in fates:
        if fate.outcome == outcome:
            touch = fate.touches[0] if fate.touches else None
            by = f"by {touch.step}{_place(touch.span, plan)}" if touch else ""
            groups.setdefault((fate.origin.source, by), []).append(fate.origin.key)
    several = len({origin.source for origin in plan.before}) > 1
    found = []
    for (source, by), keys in groups.items():
        everything = [origin.key for origin in plan.before if origin.source == source]
        of = f" of {PurePath(source).name}" if several else ""
        rest = "  ".join(part for part in (brief(keys, everything), by) if part)
        style = "gone" if outcome == "dropped" else "quiet"
        found.append(line(piece(f"{counted(len(keys), 'tensor')}{of}", style), f"  {rest}"))
    return found


def _place(span: Span | None, plan: Plan) -> str:
    if span is None:
        return ""
    return f", line {span.line}" if span.file == plan.recipe.display else f" at {span.place}"


def cost_words(plan: Plan) -> str:
    """Bytes to read and to write, and the memory it takes."""
    cost = plan.cost
    read, written, peak = map(format_bytes, (cost.read, cost.written, cost.peak))
    return f"reads {read}, writes {written}, peak memory {peak}"


def _ending(plan: Plan) -> list[Line]:
    found = _labelled("cost", [line(cost_words(plan))])
    outputs = []
    for output in plan.outputs:
        details = [output.format or "", "overwrites" if output.overwrite else ""]
        words = ", ".join(detail for detail in details if detail)
        outputs.append(line(piece(output.path), piece(f"  {words}" if words else "", "quiet")))
    found += _labelled("output", outputs or [line(piece("none: the result is for Python, or give -o", "quiet"))])
    return found
