"""Selectors and rules of a command line, at work on a subject."""

from __future__ import annotations

from surgery.diagnostics import SurgeryError, fail
from surgery.document import Scalar
from surgery.fields import Reader
from surgery.lang import parse_rules, parse_selector
from surgery.lang.bind import parameters
from surgery.planning.context import Context
from surgery.planning.selecting import RuleSet
from surgery.report.match import Selected, captures_of
from surgery.steps import STEPS
from surgery.tensors.subject import Subject
from surgery.text import Text

__all__ = ["apply_rules", "select"]


def select(text: str, subject: Subject, context: Context) -> list[Selected]:
    """What a selector selects.

    Raises:
        SurgeryError: it is no selector, or it (or a part of it) selects nothing.
    """
    place = Text.plain(text, "<selector>")
    selection = parse_selector(place)
    for name, at in parameters(selection):
        note = f'in quotes it is a key: "${name}"'
        raise fail("parameter", f"there is no parameter `{name}` outside a recipe", place.span(*at), (note,))
    rules = RuleSet.of_selection(selection, subject, context)
    found = []
    for key, entry in subject.entries.items():
        first = rules.first(key, entry)
        if first is not None:
            _, path, match = first
            found.append(Selected(key, entry.spec, captures_of(match, path), ".".join(match.rest)))
    rules.finish()
    context.raise_errors()
    return found


def apply_rules(text: str, name: str | None, subject: Subject, context: Context) -> Subject:
    """The subject after one step with these rules; without a `name`, the step that rules of their form belong to.

    Raises:
        SurgeryError: they are no such rules, or do not apply.
    """
    place = Text.plain(text, "<rule>")
    name = name or _step_of(place)
    reader = Reader()
    step = reader.fields(STEPS[name], Scalar(place.span(0, len(text)), text, place, quoted=True))
    context.diagnostics.extend([*reader.diagnostics, *(step.check() if step else ())])
    context.raise_errors()
    assert step is not None, "a step that cannot be read is reported"
    context.here = place.span(0, len(text))
    result = step.apply(subject, context)
    context.raise_errors()
    return result


def _step_of(place: Text) -> str:
    """``convert`` for rules that compute, ``rename`` for those that move, ``replace_layer`` for those of layers.

    Raises:
        SurgeryError: they are no such rules; the errors are those of key rules.
    """
    try:
        rules = parse_rules(place, "key")
    except SurgeryError as wrong:
        try:
            parse_rules(place, "layer")
        except SurgeryError:
            raise wrong from None
        return "replace_layer"
    computes = any(rule.right.operations or rule.right.listed for rule in rules)
    return "convert" if computes else "rename"
