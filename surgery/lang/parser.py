"""Text to forms, with errors that point at the word. The grammar is ``grammars/*.lark``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lark

from surgery.diagnostics import Diagnostic, Span, SurgeryError, fail
from surgery.lang.bind import bind, parameters
from surgery.lang.build import BlankError, Builder, BuildError
from surgery.lang.checks import check_rule, check_selector
from surgery.lang.kinds import with_kinds
from surgery.lang.layout import split_rules
from surgery.lang.rule import Rule
from surgery.lang.selector import Item, Selection
from surgery.lang.tables import KINDS, parser
from surgery.lang.unexpected import explain, explain_blank
from surgery.limits import exceeded, limits
from surgery.text import Text

__all__ = ["KINDS", "parse_expression", "parse_rules", "parse_selector", "union_of"]

_DEEPEST = 200


_BUILDER = Builder()


def _parse(text: Text, start: str) -> Any:
    """One form.

    Raises:
        SurgeryError: `rule-syntax` or `too-large`, pointing at the word.
    """
    if len(text.value) > limits().rule:
        message = f"this is longer than {limits().rule:,} characters"
        raise exceeded("rule", message, text.span(0, 1), needed=len(text.value))
    try:
        tree = parser().parse(text.value, start=start)
        if len(text.value) > _DEEPEST and _depth(tree) > _DEEPEST:
            raise fail("too-large", f"this is nested more than {_DEEPEST} deep", text.span(0, len(text.value)))
        return _BUILDER.transform(tree)
    except lark.exceptions.UnexpectedInput as error:
        raise SurgeryError(explain(error, text, start)) from None
    except lark.exceptions.VisitError as error:
        if not isinstance(error.orig_exc, BuildError):
            raise error.orig_exc from None
        raise _refused(error.orig_exc, text) from None


def _depth(tree: lark.Tree) -> int:
    """How deep a tree is."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in node.children if isinstance(child, lark.Tree)]
    return depth


def _refused(error: BuildError, text: Text) -> SurgeryError:
    if isinstance(error, BlankError):
        return SurgeryError(explain_blank(text, error.at))
    return fail(error.code, error.message, text.span(*error.at), (error.note,) if error.note else ())


def _bound(form: Any, text: Text, params: Mapping[str, Any] | None) -> tuple[Any, tuple[tuple[str, Span], ...]]:
    """A form with its parameters put in, if all their values are known; and which there are, and where."""
    named = tuple((name, text.span(*at)) for name, at in parameters(form)) if "$" in text.value else ()
    if named and params is not None and all(name in params for name, _ in named):
        try:
            form = bind(form, params)
        except BuildError as error:
            raise _refused(error, text) from None
    return form, named


def parse_rules(text: Text, kind: str, params: Mapping[str, Any] | None = None) -> tuple[Rule, ...]:
    """The rules in `text`, of one kind; parameters are bound where `params` gives their values.

    Raises:
        SurgeryError: everything that is wrong in the text, rule by rule.

    >>> rules = parse_rules(Text.plain("module.** -> **, optional head -> fc"), "key")
    >>> [str(rule) for rule in rules]
    ['module.** -> **', 'optional head -> fc']
    """
    rules: list[Rule] = []
    wrong: list[Diagnostic] = []
    for piece in split_rules(text, commas=kind != "set"):
        try:
            rules.append(_parse_rule(piece, kind, params))
        except SurgeryError as error:
            wrong.extend(error.diagnostics)
    if wrong:
        raise SurgeryError(wrong)
    return tuple(rules)


def _parse_rule(text: Text, kind: str, params: Mapping[str, Any] | None) -> Rule:
    rule, named = _bound(_parse(text, f"{kind}_rule"), text, params)
    rule = Rule(with_kinds(rule.left), rule.right, rule.optional, source=text, parameters=named)
    wrong = check_rule(rule, kind)
    if wrong:
        raise SurgeryError(wrong)
    return rule


def parse_selector(text: Text, params: Mapping[str, Any] | None = None) -> Selection:
    """A selector that stands alone, perhaps behind `optional`.

    Raises:
        SurgeryError: everything that is wrong in the text.
    """
    pieces = split_rules(text, commas=True)
    if not pieces:
        raise fail("rule-syntax", "a selector is missing here", text.span(0, 1))
    if len(pieces) > 1:
        span = pieces[1].span(0, len(pieces[1].value))
        note = "several are joined by `|`, or written as a list"
        raise fail("rule-syntax", "one selector stands here, not several", span, (note,))
    item, named = _bound(_parse(pieces[0], "lone_selector"), pieces[0], params)
    item = Item(with_kinds(item.selector), item.optional, pieces[0])
    wrong = check_selector(item.selector, pieces[0])
    if wrong:
        raise SurgeryError(wrong)
    return Selection((item,), named)


def union_of(selections: list[Selection]) -> Selection:
    """What any of the selections selects, each item keeping its own place."""
    items = tuple(item for selection in selections for item in selection.items)
    return Selection(items, tuple(named for selection in selections for named in selection.parameters))


def parse_expression(text: Text) -> Any:
    """A name or a call by itself, such as an operation given from Python: ``chunk(dim=0)``."""
    return _parse(text, "postfix")
