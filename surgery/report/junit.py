"""The outcomes of tests as JUnit XML, which continuous integration shows: a suite for each recipe."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as xml

from surgery.diagnostics import Diagnostic, escape
from surgery.testing.outcome import Outcome, Tested

__all__ = ["junit_text"]


def junit_text(found: Sequence[Tested]) -> str:
    """The report. A recipe that cannot be read is a suite with one case that ends with an error."""
    root = xml.Element("testsuites", name="surgery")
    for tested in found:
        cases = [_case(tested.recipe, outcome) for outcome in tested.outcomes]
        if tested.errors:
            broken = xml.Element("testcase", classname=_text(tested.recipe), name="the recipe", time="0.000")
            _problem(broken, "error", tested.errors)
            cases = [broken]
        suite = xml.SubElement(
            root,
            "testsuite",
            name=_text(tested.recipe),
            tests=str(len(cases)),
            failures=str(tested.count("failed")),
            errors=str(int(bool(tested.errors))),
            skipped=str(tested.count("skipped")),
            time=f"{sum(outcome.seconds for outcome in tested.outcomes):.3f}",
        )
        suite.extend(cases)
    xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _case(recipe: str, outcome: Outcome) -> xml.Element:
    case = xml.Element("testcase", classname=_text(recipe), name=_text(outcome.name), time=f"{outcome.seconds:.3f}")
    if outcome.span is not None:
        case.set("file", _text(outcome.span.file))
        case.set("line", str(outcome.span.line))
    if outcome.status == "skipped":
        xml.SubElement(case, "skipped", message=_text(outcome.reason))
    elif outcome.status == "failed":
        _problem(case, "failure", outcome.diagnostics)
        if outcome.printed:
            xml.SubElement(case, "system-out").text = _text(outcome.printed)
    return case


def _problem(case: xml.Element, kind: str, diagnostics: Sequence[Diagnostic]) -> None:
    first = diagnostics[0]
    found = xml.SubElement(case, kind, type=first.code, message=_text(first.message))
    found.text = _text("\n\n".join(map(str, diagnostics)))


def _text(text: str) -> str:
    """Text without characters that XML cannot hold; lines stay lines."""
    return "\n".join(escape(one) for one in text.split("\n"))
