"""The parser: text to forms, with errors that point at the word.

The grammar is `grammars/*.lark`. Building its LALR tables takes longer than parsing a whole recipe, so the tables are
kept, with a digest of what they were made from, in ``grammars/tables.bin``; a test keeps that file fresh, and where it
does not fit (an edited grammar, another version of lark) the tables are built anew.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import lark

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.lang.bind import bind, parameters
from surgery.lang.build import Builder, BuildError
from surgery.lang.layout import split_rules
from surgery.lang.rule import Rule
from surgery.lang.selector import Item, Selection
from surgery.lang.unexpected import explain
from surgery.resources import resource
from surgery.text import Text

__all__ = ["KINDS", "build_tables", "grammar_text", "parse_expression", "parse_rules", "parse_selector", "union_of"]

#: the kinds of rules, by what stands on the right of the arrow
KINDS = ("key", "create", "layer", "cast", "device", "init", "set", "tie")
_STARTS = ["lone_selector", "postfix", *(f"{kind}_rule" for kind in KINDS)]
_LONGEST = 100_000


def grammar_text() -> str:
    """The grammar files, one after the other."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(resource("grammars").glob("*.lark")))


def build_tables() -> bytes:
    """The content of ``grammars/tables.bin``: a digest, then lark's tables."""
    buffer = io.BytesIO()
    _build().save(buffer)
    return _digest() + buffer.getvalue()


def _digest() -> bytes:
    return hashlib.sha256(f"{lark.__version__}\n{','.join(_STARTS)}\n{grammar_text()}".encode()).digest()


def _build() -> lark.Lark:
    return lark.Lark(grammar_text(), parser="lalr", lexer="contextual", start=_STARTS, propagate_positions=False)


@cache
def _parser() -> lark.Lark:
    file = resource("grammars") / "tables.bin"
    if file.is_file():
        content = file.read_bytes()
        if content[:32] == _digest():
            return lark.Lark.load(io.BytesIO(content[32:]))  # type: ignore[no-any-return]
    return _build()


_BUILDER = Builder()


def _parse(text: Text, start: str) -> Any:
    """One form.

    Raises:
        SurgeryError: `rule-syntax`, pointing at the word.
    """
    if len(text.value) > _LONGEST:
        raise SurgeryError(Diagnostic("rule-syntax", f"this is longer than {_LONGEST} characters", text.span(0, 1)))
    try:
        return _BUILDER.transform(_parser().parse(text.value, start=start))
    except lark.exceptions.UnexpectedInput as error:
        raise SurgeryError(explain(error, text, start)) from None
    except lark.exceptions.VisitError as error:
        if not isinstance(error.orig_exc, BuildError):
            raise error.orig_exc from None
        wrong = error.orig_exc
        notes = (wrong.note,) if wrong.note else ()
        raise SurgeryError(Diagnostic("rule-syntax", wrong.message, text.span(*wrong.at), notes)) from None


def parse_rules(text: Text, kind: str, params: Mapping[str, Any] | None = None) -> tuple[Rule, ...]:
    """The rules in `text`, of one kind; parameters are bound where `params` gives their values.

    Raises:
        SurgeryError: everything that is wrong in the text, rule by rule.

    >>> rules = parse_rules(Text.plain("module.** -> **, optional head -> fc"), "key")
    >>> [str(rule) for rule in rules]
    ['module.** -> **', 'optional head -> fc']
    """
    rules, wrong = [], []
    for piece in split_rules(text, commas=kind != "set"):
        try:
            rules.append(_parse_rule(piece, kind, params))
        except SurgeryError as error:
            wrong.extend(error.diagnostics)
    if wrong:
        raise SurgeryError(wrong)
    return tuple(rules)


def _parse_rule(text: Text, kind: str, params: Mapping[str, Any] | None) -> Rule:
    from surgery.lang.checks import check_rule

    rule: Rule = _parse(text, f"{kind}_rule")
    named = [(name, text.span(*at)) for form in (rule.left, rule.right) for name, at in parameters(form)]
    if named and params is not None and all(name in params for name, _ in named):
        rule = bind(rule, params)
    rule = Rule(rule.left, rule.right, rule.optional, source=text, parameters=tuple(named))
    wrong = check_rule(rule, kind)
    if wrong:
        raise SurgeryError(wrong)
    return rule


def parse_selector(text: Text, params: Mapping[str, Any] | None = None) -> Selection:
    """A selector that stands alone, perhaps behind `optional`.

    Raises:
        SurgeryError: `rule-syntax`, pointing at the word.
    """
    trimmed = split_rules(text, commas=False)
    if len(trimmed) != 1:
        span = trimmed[1].span(0, len(trimmed[1].value)) if trimmed else text.span(0, 1)
        message = "one selector stands here, not several" if trimmed else "a selector is missing here"
        note = "several are joined by `|`, or written as a list"
        raise SurgeryError(Diagnostic("rule-syntax", message, span, (note,) if trimmed else ()))
    from surgery.lang.checks import check_selector

    source = trimmed[0]
    item: Item = _parse(source, "lone_selector")
    named = tuple((name, source.span(*at)) for name, at in parameters(item.selector))
    if named and params is not None and all(name in params for name, _ in named):
        item = bind(item, params)
    wrong = check_selector(item.selector, source)
    if wrong:
        raise SurgeryError(wrong)
    return Selection((Item(item.selector, item.optional, source),), named)


def union_of(selections: list[Selection]) -> Selection:
    """What any of the selections selects, each item keeping its own place."""
    items = tuple(item for selection in selections for item in selection.items)
    return Selection(items, tuple(named for selection in selections for named in selection.parameters))


def parse_expression(text: Text) -> Any:
    """A name or a call by itself, such as an operation given from Python: ``chunk(dim=0)``."""
    return _parse(text, "postfix")
