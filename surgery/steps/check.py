"""``check``: what must be so at this point of the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.collapse import collapse
from surgery.fields import integer, list_of, option, selection
from surgery.fields.selected import by_selector
from surgery.lang import Selection
from surgery.lang.match import Match
from surgery.lang.path import Path
from surgery.lang.selector import included_paths
from surgery.planning.context import Context
from surgery.planning.finite import with_finite_values
from surgery.planning.idle import idle_path
from surgery.planning.selecting import Choice, RuleSet, select_keys
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.spec import format_shape
from surgery.tensors.subject import Subject

__all__ = ["Check"]


@STEPS.register("check")
@dataclass(frozen=True, slots=True)
class Check(Step):
    """Check counts, shapes and values, and change nothing.

    `count` counts what the selector matches: modules for ``layers.*``, tensors for ``layers.*.weight`` and for what
    ends in ``**``. `shape` says what shape every selected tensor has. Both are decided in the plan. `finite` says that
    no value is infinite or not a number; that is found when the values are read, and only for tensors that reach the
    result. A check that fails ends the command with status 1, and nothing is written.
    """

    example: ClassVar[str] = 'check: {finite: "**", count: {"layers.*": 24}, shape: {fc.weight: [10, 2048]}}'
    keeps_tensors: ClassVar[bool] = True

    finite: Selection | None = option(selection, help="tensors whose values are all finite")
    count: tuple[tuple[Selection, int], ...] = option(
        by_selector(integer), default=(), help="how many modules or tensors each selector matches"
    )
    shape: tuple[tuple[Selection, tuple[int, ...]], ...] = option(
        by_selector(list_of(integer)), default=(), help="the shape of what each selector selects"
    )

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject; where values are checked, the checks travel with it."""
        if self.finite is None and not self.count and not self.shape:
            context.report("missing-word", "`check` wants `finite`, `count` or `shape`")
        for counted, number in self.count:
            _check_count(counted, number, subject, context)
        for selected, shape in self.shape:
            _check_shape(selected, shape, subject, context)
        if self.finite is None:
            return subject
        return with_finite_values(subject, select_keys(self.finite, subject, context), context.here)


def _check_count(counted: Selection, number: int, subject: Subject, context: Context) -> None:
    before = len(context.diagnostics)
    rules = RuleSet.of_selection(counted, subject, context)
    found: dict[str, None] = {}
    for key, entry in subject.entries.items():
        for _, path, match in rules.selecting(key, entry):
            found[_matched(key, path, match)] = None
    if len(context.diagnostics) > before:
        return
    if len(found) == number:
        if found:
            rules.finish()
        return
    shown = [", ".join(f"`{pattern}`" for pattern in collapse(found)[:6])] if found else _why_none(counted, subject)
    are = "is" if len(found) == 1 else "are"
    message = f"there {are} {len(found) or 'no'} `{counted}`, not {number}"
    context.report("check-failed", message, counted.items[0].span, shown)


def _why_none(counted: Selection, subject: Subject) -> tuple[str, ...]:
    """What the first word of a selector that no key goes on with was probably to be."""
    choice = Choice(counted.items[0], counted.items[0].selector)
    path = next(included_paths(choice.selector))
    return idle_path(choice, path, list(subject.entries), exact=False).notes


def _matched(key: str, path: Path, match: Match) -> str:
    """What the last word of a selector matched: a module, or the tensor itself."""
    if not match.rest or (path.segments and path.segments[-1].deep):
        return key
    return ".".join(key.split(".")[: -len(match.rest)])


def _check_shape(selected: Selection, shape: tuple[int, ...], subject: Subject, context: Context) -> None:
    shapes: dict[str, Any] = {key: subject.entries[key].spec.shape for key in select_keys(selected, subject, context)}
    wrong = collapse([key for key in shapes if shapes[key] != shape], by=shapes.__getitem__)
    if wrong:
        notes = [f"`{pattern}` is {format_shape(shapes[pattern.keys[0]])}" for pattern in wrong[:6]]
        count = sum(map(len, wrong))
        what = f"{count} of {len(shapes)} tensors that `{selected}` selects" if len(shapes) > 1 else f"`{selected}`"
        message = f"{what} {'have' if count > 1 else 'has'} another shape than {format_shape(shape)}"
        context.report("check-failed", message, selected.items[0].span, notes)
