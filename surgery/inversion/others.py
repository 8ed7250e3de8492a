"""Steps other than rules: what they did to the keys of a checkpoint, and the steps that take it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surgery.diagnostics import Diagnostic
from surgery.inversion.identity import name_of
from surgery.inversion.judging import Wanted
from surgery.inversion.keys import covering, path_of
from surgery.inversion.pieces import Line, Piece, rules_value
from surgery.inversion.sharpen import sharpened
from surgery.inversion.spelling import explicit
from surgery.inversion.stages import Stage
from surgery.inversion.text import plain_parameters
from surgery.tensors.subject import Subject
from surgery.wording import listed

__all__ = ["dropping", "lost_tensors", "other_pieces", "tying"]


def other_pieces(stage: Stage, values: Mapping[str, Any]) -> Iterator[Piece | Diagnostic]:
    """The steps that take a step back, in order; or why nothing does."""
    came, gone = _where_from(stage)
    there = {name_of(entry.expr): key for key, entry in stage.after.entries.items()}
    if changed := [key for key in gone if name_of(stage.before.entries[key].expr) not in there]:
        message = f"`{stage.step.name}` changes the values of {listed(changed, 3)}, and nothing gives the old ones back"
        yield Diagnostic("no-inverse", message, stage.step.span)
        return
    new = [key for key in stage.after.entries if key not in came]
    if new:
        yield dropping(new, list(came))
    if any(key != old for key, old in came.items()):
        yield from _renamed(stage, came, values)
    if gone:
        yield Piece("copy", rules_value(list(_copied(stage, came, gone, there))))


def dropping(keys: Sequence[str], others: Sequence[str]) -> Piece:
    """A `filter` that drops some keys, and leaves the others."""
    return Piece("filter", {"drop": " | ".join(plain_parameters(str(path)) for path in covering(keys, others))})


def _copied(
    stage: Stage, came: Mapping[str, str], gone: Sequence[str], there: Mapping[str | None, str]
) -> Iterator[Line]:
    """Rules for tensors that are there under one name, and were under another one too."""
    for key in gone:
        kept = came[there[name_of(stage.before.entries[key].expr)]]
        yield Line(str(path_of(kept.split("."))), str(path_of(key.split("."))))


def _where_from(stage: Stage) -> tuple[dict[str, str], list[str]]:
    """For each key of the result that is a tensor from before, the key that it had; and the keys that went."""
    waiting: dict[str, list[str]] = {}
    for key, entry in stage.before.entries.items():
        waiting.setdefault(name_of(entry.expr) or key, []).append(key)
    came: dict[str, str] = {}
    after = {key: name_of(entry.expr) for key, entry in stage.after.entries.items()}
    for staying in (True, False):  # of tied names, each goes to the key that it had
        for key, name in after.items():
            names = waiting.get(name or "", [])
            if key not in came and names and (not staying or key in names):
                came[key] = key if key in names else names[0]
                names.remove(came[key])
    return came, [key for names in waiting.values() for key in names]


def _renamed(stage: Stage, came: Mapping[str, str], values: Mapping[str, Any]) -> Iterator[Piece | Diagnostic]:
    """A `rename` for the keys that moved."""
    specs = stage.after.entries
    wanted = {key: Wanted(specs[key].spec, None if key == old else 0, old) for key, old in came.items()}
    drafts, wrong = sharpened(list(explicit(0, wanted)), wanted, values)
    if wrong:
        message = f"`{stage.step.name}` moves keys in a way that no rules take back: {listed(wrong, 3)}"
        yield Diagnostic("no-inverse", message, stage.step.span)
        return
    lines = [Line(draft.left, draft.right) for draft in drafts]
    yield Piece("rename", rules_value(lines))


def tying(before: Subject, restored: Subject) -> Iterator[Piece]:
    """A `tie` for tensors that were tied and are not any more."""
    there = {frozenset(group) for group in restored.ties()}
    lines: list[Line] = []
    for group in before.ties():
        if frozenset(group) not in there:
            lines += [Line(str(path_of(key.split("."))), str(path_of(group[0].split(".")))) for key in group[1:]]
    if lines:
        yield Piece("tie", rules_value(lines))


def lost_tensors(stage: Stage, keys: Sequence[str]) -> Diagnostic:
    """The error of a step that leaves tensors behind."""
    if all(key in stage.after.entries for key in keys):
        message = (
            f"`{stage.step.name}` puts others in the place of {listed(keys, 3)}, and nothing gives the old ones back"
        )
    else:
        them = "it" if len(keys) == 1 else "them"
        message = f"`{stage.step.name}` leaves {listed(keys, 3)} behind, and nothing gives {them} back"
    note = "`--partial` inverts the recipe for the tensors that reach its result"
    return Diagnostic("no-inverse", message, stage.step.span, (note,))
