"""Trying a case: its files are made, the recipe runs on them, and what comes of it is compared."""

from __future__ import annotations

import dataclasses
import io
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.cases import Case
from surgery.diagnostics import Diagnostic, Span, SurgeryError, fail
from surgery.inclusion import surroundings
from surgery.planner import make_plan
from surgery.recipe import Bound, Recipe
from surgery.sources.given import Given
from surgery.testing.inside import inside, leads_out
from surgery.testing.inverse import check_inverse
from surgery.testing.making import make_files, make_objects
from surgery.testing.needs import unmet
from surgery.testing.outcome import Outcome, Tested
from surgery.testing.quiet import apart
from surgery.testing.sourceless import sourceless

if TYPE_CHECKING:
    from surgery.plan import Plan
    from surgery.result import Result

__all__ = ["try_case", "try_recipe"]

#: the error about what nobody allowed, for which a case is skipped
_REFUSED = "not-allowed"
#: lines of what a library printed, the last ones, that a failure shows
_LINES = 20


def try_recipe(name: str, allow: frozenset[str], select: str = "") -> Tested:
    """What comes of the cases of a recipe, one after the other.

    Args:
        name: its file, or the name of a shipped one.
        allow: permissions of the caller.
        select: only cases with this in their names.
    """
    try:
        recipe = Recipe.read(name)
    except SurgeryError as error:
        return Tested(name, errors=error.diagnostics)
    return Tested(name, [try_case(recipe, case, allow) for case in recipe.content.tests if select in case.name])


def try_case(recipe: Recipe, case: Case, allow: frozenset[str]) -> Outcome:
    """What comes of one case. Nothing is raised, but for interruptions."""
    reason = unmet(recipe, case, allow)
    if reason:
        return Outcome(case.name, "skipped", 0.0, case.span, reason)
    printed = io.StringIO()
    begin = time.perf_counter()
    found: Sequence[Diagnostic] = ()
    try:
        # recipes that it brings in lie where it lies itself
        reference = recipe.reference.settled()
        with apart(printed) as directory:
            moved = dataclasses.replace(recipe, directory=directory, reference=reference)
            if case.source is not None:
                moved = sourceless(moved, [name for _, name, _ in case.params])
            _Trial(moved, case, directory, allow).run()
    except SurgeryError as error:
        found = error.diagnostics
    except Exception as error:
        # of whatever code the case runs; of our own, it would be a mistake that has to be seen as well
        printed.write(f"\n{traceback.format_exc()}")
        message = f"{type(error).__name__}: {str(error) or 'no message'}"
        found = (Diagnostic("test-failed", message, case.span),)
    seconds = time.perf_counter() - begin
    refused = [d for d in found if d.severity == "error"]
    if refused and all(d.code == _REFUSED for d in refused):
        return Outcome(case.name, "skipped", seconds, case.span, refused[0].message)
    if not refused:
        return Outcome(case.name, "ok", seconds, case.span)
    return Outcome(case.name, "failed", seconds, case.span, "", found, _last_lines(printed.getvalue()))


def _last_lines(printed: str) -> str:
    """The end of what was printed, without bars of progress, which begin their line anew."""
    return "\n".join([line for line in printed.split("\n") if line.strip() and "\r" not in line][-_LINES:])


@dataclasses.dataclass(frozen=True, slots=True)
class _Trial:
    """One case on its way: the recipe stands in `directory`."""

    recipe: Recipe
    case: Case
    directory: Path
    allow: frozenset[str]

    def run(self) -> None:
        """Try the case.

        Raises:
            SurgeryError: all that is not as it should be.
        """
        case = self.case
        objects = make_files(self.recipe, case, self.directory, self.allow)
        given, objects = make_objects(self.recipe, case, self.directory, self.allow, objects)
        if case.error is None:
            bound = self._bound()
            result = self._expecting(self._plan(bound, given), objects).execute()
            if case.inverse:
                self._invert(bound, result, given)
            return
        try:
            self._plan(self._bound(), given).execute()
        except SurgeryError as error:
            self._compare(error)
            return
        raise fail("test-failed", f"`{case.name}`: no error, where `{case.error.code}` was to come", case.span)

    def _bound(self) -> Bound:
        values = {name: value for _, name, value in self.case.params}
        if self.recipe.is_foreign:
            _refuse_outside(values, self.case.span)
        bound = inside(self.recipe.bind(values, self.directory), self.directory)
        if self.case.source is None:
            return bound
        return dataclasses.replace(bound, source=Given("source"))

    def _plan(self, bound: Bound, given: dict[str, Any]) -> Plan:
        return make_plan(self.recipe, bound, allow=self.allow, given=given)

    def _invert(self, bound: Bound, result: Result, given: dict[str, Any]) -> None:
        partial = self.case.inverse == "partial"
        span = self.case.span
        check_inverse(self.recipe, bound, result.state_dict, given, self.allow, span, partial=partial)

    def _expecting(self, plan: Plan, objects: dict[str, Any]) -> Plan:
        """The plan that also checks what the case expects, once its values are there."""
        expect = self.case.expect
        if expect is None:
            return plan
        context = surroundings(self.recipe, seed=self.case.seed, allow=self.allow, given=objects)
        subject = expect.check_plan(plan.subject, context)
        context.raise_errors()
        return dataclasses.replace(plan, subject=subject, run_checks=(*plan.run_checks, *context.run_checks))

    def _compare(self, error: SurgeryError) -> None:
        """Whether the recipe ended with the error that it had to end with.

        Raises:
            SurgeryError: with the errors that it ended with.
        """
        wanted = self.case.error
        assert wanted is not None, "only then are errors compared"
        errors = [d for d in error.diagnostics if d.severity == "error"]
        if any(_fits(d, wanted.code, wanted.says, wanted.at) for d in errors):
            return
        if all(d.code == _REFUSED for d in errors):
            raise error
        what = [f"`{wanted.code}`"] + [f"{w} `{v}`" for w, v in (("that says", wanted.says), ("at", wanted.at)) if v]
        message = f"`{self.case.name}`: not the error that was to come: {' '.join(what)}"
        raise SurgeryError((Diagnostic("test-failed", message, self.case.span), *errors))


def _refuse_outside(values: Mapping[str, Any], span: Span | None) -> None:
    """Refuse paths out of the case's directory: what a recipe from elsewhere says in its tests, no caller said."""
    for value in values.values():
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and ("://" in text or leads_out(text)):
                raise fail("not-allowed", f"a recipe from elsewhere reads no `{text}` in its tests", span)


def _fits(diagnostic: Diagnostic, code: str, says: str | None, at: str | None) -> bool:
    words = "\n".join((diagnostic.message, *diagnostic.notes))
    return diagnostic.code == code and (says is None or says in words) and (at is None or _points(diagnostic.span, at))


def _points(span: Span | None, words: str) -> bool:
    """Whether a span marks some words, or their beginning."""
    if span is None:
        return False
    begin = span.column - 1
    return words in span.excerpt[begin : begin + span.length] or span.excerpt.startswith(words, begin)
