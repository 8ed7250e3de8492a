"""The match screens: what a selector selects and what its captures took; what a rule does to each key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from surgery.lang.match import Match
from surgery.lang.path import Capture, Deep, Group, Path, Star
from surgery.planning.context import Context
from surgery.report.edits import Change, RuleEdits, touches_of
from surgery.report.lines import Line, line, piece
from surgery.report.sentences import collapse_sentences
from surgery.report.steps import sentence_lines
from surgery.report.table import Cell, table
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Subject
from surgery.wording import counted

__all__ = ["Selected", "captures_of", "match_lines", "rule_effect", "rule_lines"]

#: so few are shown one by one
_FEW = 12


@dataclass(frozen=True, slots=True)
class Selected:
    """A tensor that a selector selects, and what each of its open parts took, in order."""

    key: str
    spec: Spec
    captures: tuple[tuple[str, str], ...]
    rest: str = ""


def captures_of(match: Match, path: Path) -> tuple[tuple[str, str], ...]:
    """What the captures, stars and groups of a path took, in the order in which they stand: ``(("{i}", "3"), …)``."""
    stars, groups = iter(match.stars), iter(match.groups)
    found: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for part in path.parts():
        if isinstance(part, Star | Deep):
            pairs.append((str(part), next(stars)))
        elif isinstance(part, Group):
            pairs.append((str(part), ".".join(part.alternatives[next(groups)])))
        elif isinstance(part, Capture) and part.name not in found:
            found[part.name] = match.captures[part.name]
            pairs.append((part.name, found[part.name]))
    return tuple(pairs)


def match_lines(
    selected: Sequence[Selected], subject: Subject, *, full: bool = False, columns: int | None = None
) -> list[Line]:
    """What was selected; with `full`, every key by itself, else equal layers collapsed."""
    found = [line(piece(f"{len(selected)} of {counted(len(subject.entries), 'tensor')}", "title"))]
    said = [(_sentence(one), one.spec) for one in selected]
    rows: list[list[Cell]] = []
    if full or len(selected) <= _FEW:
        rows = [_row(text, str(spec), 1) for text, spec in said]
    else:
        for sentence in collapse_sentences(said):
            rows.append(_row(sentence.text, str(sentence.label), sentence.count))
    return found + table(rows, "lll", columns=columns)


#: stands between the key and its captures; no key has it once it is escaped
_BETWEEN = "\n"


def _sentence(one: Selected) -> str:
    shown = (f"{name} = {text or 'nothing'}" for name, text in one.captures)
    return f"{one.key}{_BETWEEN}{', '.join(shown)}"


def _row(text: str, spec: str, count: int) -> list[Cell]:
    key, _, captures = text.partition(_BETWEEN)
    times = f"{count} × " if count > 1 else ""
    return [line(piece(f"{times:>8}", "quiet"), key), piece(captures, "changed"), piece(spec, "quiet")]


def rule_effect(result: Subject, context: Context) -> RuleEdits:
    """What a step did; `result` is the subject after it, and nothing was done to that before."""
    touches = touches_of(result.entries.values(), context.drops, context.inventory)
    said = [(touch.action, Change("", "", module=True)) for touch in context.modules]
    said += [(touch.action, change) for touch, change in touches]
    return RuleEdits("", None, tuple(collapse_sentences(said)))


def rule_lines(effect: RuleEdits, subject: Subject, result: Subject, *, columns: int | None = None) -> list[Line]:
    """What a rule does to each key."""
    before, after = len(subject.entries), len(result.entries)
    untouched = sum(1 for entry in result.entries.values() if not entry.trail)
    words = f"{counted(before, 'tensor')} -> {counted(after, 'tensor')}"
    modules = effect.count(module=True)
    changed = f"  {counted(modules, 'module')}" if modules else ""
    head = line(piece(words, "title"), changed, piece(f"  {untouched:,} untouched", "quiet"))
    return [head, *sentence_lines(effect, columns=columns)]
