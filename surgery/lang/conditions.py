"""What can be said against a condition before any tensor is seen: unknown words, and values that do not compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.diagnostics import Diagnostic
from surgery.lang.expression import (
    Arithmetic,
    Attribute,
    Boolean,
    Comparison,
    Const,
    Expression,
    Index,
    ListOf,
    Minus,
    Name,
    Not,
    Parameter,
)
from surgery.lang.facts import FACTS, constants
from surgery.lang.path import Capture
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES, dtype_called
from surgery.text import Text

__all__ = ["check_condition"]

# the type of every fact, and how each type is called in messages
_FACTS = {
    "ndim": "number",
    "shape": "list",
    "dtype": "dtype",
    "floating": "truth",
    "numel": "number",
    "kind": "kind",
    "key": "text",
}
_KINDS = ("parameter", "buffer")
_WORDS = {
    "number": "a number",
    "text": "text",
    "truth": "true or false",
    "list": "a list",
    "dtype": "a dtype",
    "kind": "`parameter` or `buffer`",
}


class _Wrong(Exception):
    def __init__(self, message: str, expression: Expression, note: str | None = None, code: str = "guard") -> None:
        super().__init__(message)
        self.message, self.expression, self.note, self.code = message, expression, note, code


def check_condition(condition: Expression, captures: Mapping[str, Capture], source: Text) -> list[Diagnostic]:
    """The first thing that is wrong with a condition on a selector with these captures, if anything is."""
    try:
        _expect(condition, "truth", captures, "a condition is true or false")
    except _Wrong as wrong:
        span = source.span(*wrong.expression.at)
        return [Diagnostic(wrong.code, wrong.message, span, (wrong.note,) if wrong.note else ())]
    return []


def _type(expression: Expression, captures: Mapping[str, Capture]) -> str | None:
    """The type of a value; None where it is not known (a parameter without a value)."""
    match expression:
        case Const(value=value):
            return _type_of_value(value, expression)
        case Parameter():
            return None
        case Name():
            return _type_of_name(expression, captures)
        case ListOf(items=items):
            for item in items:
                _type(item, captures)
            return "list"
        case Minus(operand=operand):
            return _expect(operand, "number", captures)
        case Arithmetic(left=left, right=right):
            _expect(left, "number", captures)
            return _expect(right, "number", captures)
        case Not(operand=operand):
            return _expect(operand, "truth", captures)
        case Boolean(left=left, right=right):
            _expect(left, "truth", captures)
            return _expect(right, "truth", captures)
        case Comparison():
            return _comparison(expression, captures)
        case Index(base=base, index=index):
            _expect(base, "list", captures)
            _expect(index, "number", captures)
            return "number" if base == Name("shape") else None
        case Attribute(base=Name(name="torch"), name=name) if name in DTYPES:
            raise _Wrong(f"`{expression}` cannot stand in a condition", expression, f"dtypes stand bare: `{name}`")
    raise _Wrong(f"`{expression}` cannot stand in a condition", expression)


def _type_of_value(value: Any, expression: Expression) -> str:
    match value:
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list() | tuple():
            return "list"
    raise _Wrong(f"`{expression}` cannot stand in a condition", expression)


def _type_of_name(name: Name, captures: Mapping[str, Capture]) -> str:
    if name.name in captures:
        return "number" if captures[name.name].kind == "int" else "text"
    if name.name in _FACTS:
        return _FACTS[name.name]
    if name.name in DTYPES:
        return "dtype"
    if name.name in _KINDS:
        return "kind"
    called = dtype_called(name.name)
    near = f"did you mean `{called}`?" if called else did_you_mean(name.name, [*captures, *FACTS, *constants()])
    known = f"a condition may use the captures of the selector, {', '.join(FACTS)}, and the names of dtypes"
    raise _Wrong(f"nothing is called `{name.name}` here", name, near or known)


def _expect(expression: Expression, wanted: str, captures: Mapping[str, Capture], note: str | None = None) -> str:
    found = _type(expression, captures)
    if found in (None, wanted):
        return wanted
    _refuse_text_as_number(expression, wanted, captures)
    raise _Wrong(f"`{expression}` is {_WORDS[found or wanted]}, where {_WORDS[wanted]} belongs", expression, note)


def _refuse_text_as_number(expression: Expression, wanted: str | None, captures: Mapping[str, Capture]) -> None:
    if wanted == "number" and isinstance(expression, Name) and expression.name in captures:
        message = f"`{{{expression.name}}}` captures text, and is used as a number"
        raise _Wrong(message, expression, f"capture it as `{{{expression.name}:int}}`", "capture-kind")


def _comparison(comparison: Comparison, captures: Mapping[str, Capture]) -> str:
    pairs = zip(comparison.operators, comparison.operands, comparison.operands[1:], strict=False)
    for operator, left, right in pairs:
        if operator in ("in", "not in"):
            _membership(left, right, captures)
            continue
        a, b = _type(left, captures), _type(right, captures)
        if not _comparable(left, a, right, b):
            _mismatch(left, a, right, b, captures)
        if operator not in ("==", "!=") and a not in ("number", None):
            _refuse_text_as_number(left, "number", captures)
            raise _Wrong(f"`{left}` is {_WORDS[a]}, which has no order", left)
    return "truth"


def _membership(left: Expression, right: Expression, captures: Mapping[str, Capture]) -> None:
    """``i in [1, 2]``: a list whose items are of the type on the left."""
    kind, within = _type(left, captures), _type(right, captures)
    if within not in ("list", None):
        note = "a part of a key is told by a pattern: `**.*bn*`" if within == "text" else None
        raise _Wrong(f"`in` asks about a list, and `{right}` is {_WORDS[within]}", right, note)
    for item in right.items if isinstance(right, ListOf) else ():
        found = _type(item, captures)
        if not _comparable(left, kind, item, found):
            _mismatch(left, kind, item, found, captures)
    if right == Name("shape") and kind not in ("number", None):
        _mismatch(left, kind, Index(right, Const(0)), "number", captures)


def _comparable(left: Expression, a: str | None, right: Expression, b: str | None) -> bool:
    """Whether two values may be equal. A dtype may come as text, from a parameter."""
    if None in (a, b) or a == b:
        return True
    for value, other in ((left, b), (right, a)):
        if isinstance(value, Const) and isinstance(value.value, str):
            return value.value in {"dtype": DTYPES, "kind": _KINDS}.get(other or "", ())
    return False


def _mismatch(
    left: Expression, a: str | None, right: Expression, b: str | None, captures: Mapping[str, Capture]
) -> None:
    """The error of two values that are never equal."""
    _refuse_text_as_number(left, b, captures)
    _refuse_text_as_number(right, a, captures)
    for word in (left, right):
        if isinstance(word, Const) and isinstance(word.value, str) and "dtype" in (a, b):
            near = dtype_called(word.value.removeprefix("torch.")) or did_you_mean(word.value, DTYPES)
            note = f"dtypes stand bare: `{near}`" if near in DTYPES else near
            raise _Wrong(f"there is no dtype `{word.value}`", word, note)
    raise _Wrong(f"`{left}` is {_WORDS[a or 'text']} and `{right}` is {_WORDS[b or 'text']}: never equal", right)
