"""The one evaluator, for what is only numbers, text and lists.

There is no ``eval``, no attribute walk and no power operator: values stay small.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from surgery.lang.expression.forms import (
    Arithmetic,
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

__all__ = ["EvaluationError", "describe", "evaluate", "in_python"]


class EvaluationError(ValueError):
    """An expression has no value; `expression` is the part that is to blame."""

    def __init__(self, message: str, expression: Expression) -> None:
        super().__init__(message)
        self.expression = expression


_MAGNITUDE = 2**63
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}


def in_python(name: str) -> str:
    """What a word of YAML is called in arguments, as the end of a sentence."""
    word = {"true": "True", "false": "False", "null": "None", "nil": "None"}.get(name.lower())
    return f": write `{word}`" if word else ""


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """The value of an expression, its bare names taken from `values`.

    Raises:
        EvaluationError: an unknown name, a type that does not fit, a division by zero, a number beyond 64 bits.
    """
    match expression:
        case Const(value=value):
            return value
        case Name(name=name):
            if name not in values:
                raise EvaluationError(f"nothing is called `{name}` here{in_python(name)}", expression)
            value = values[name]
            if value is None:
                raise EvaluationError(f"`{name}` is not known here", expression)
            return value
        case ListOf(items=items, is_tuple=is_tuple):
            found = (evaluate(item, values) for item in items)
            return tuple(found) if is_tuple else list(found)
        case Minus(operand=operand):
            return -_number(operand, values)
        case Arithmetic():
            return _arithmetic(expression, values)
        case Comparison():
            return _compare(expression, values)
        case Not(operand=operand):
            return not evaluate(operand, values)
        case Boolean(operator=op, left=left, right=right):
            if op == "and":
                return bool(evaluate(left, values)) and bool(evaluate(right, values))
            return bool(evaluate(left, values)) or bool(evaluate(right, values))
        case Index():
            return _index(expression, values)
        case Parameter(name=name):
            raise EvaluationError(f"the value of `${name}` is not known here", expression)
    raise EvaluationError(f"`{expression}` has no value here", expression)


def _number(expression: Expression, values: Mapping[str, Any]) -> Any:
    value = evaluate(expression, values)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EvaluationError(f"`{expression}` is not a number but {describe(value)}", expression)
    return value


def _arithmetic(expression: Arithmetic, values: Mapping[str, Any]) -> Any:
    left, right = _number(expression.left, values), _number(expression.right, values)
    if expression.operator in ("/", "//", "%") and right == 0:
        raise EvaluationError(f"`{expression}` divides by zero", expression)
    result = _ARITHMETIC[expression.operator](left, right)
    if isinstance(result, int) and abs(result) >= _MAGNITUDE:
        raise EvaluationError(f"`{expression}` is beyond 64 bits", expression)
    return result


def _compare(expression: Comparison, values: Mapping[str, Any]) -> bool:
    operands = [_comparable(evaluate(operand, values)) for operand in expression.operands]
    for op, left, right in zip(expression.operators, operands, operands[1:], strict=False):
        try:
            holds = _COMPARE[op](left, right)
        except TypeError as error:
            message = f"`{expression}` compares {describe(left)} with {describe(right)}"
            raise EvaluationError(message, expression) from error
        if not holds:
            return False
    return True


def _comparable(value: Any) -> Any:
    """Lists and tuples alike, so that a shape compares with ``[64]``."""
    return tuple(map(_comparable, value)) if isinstance(value, list | tuple) else value


def _index(expression: Index, values: Mapping[str, Any]) -> Any:
    base, index = evaluate(expression.base, values), evaluate(expression.index, values)
    if not isinstance(base, list | tuple) or isinstance(index, bool) or not isinstance(index, int):
        raise EvaluationError(f"`{expression}` takes an element of {describe(base)}", expression)
    if not -len(base) <= index < len(base):
        raise EvaluationError(f"`{expression}`: there are {len(base)} elements", expression)
    return base[index]


def describe(value: Any) -> str:
    """A value in words, for messages: ``the text 'a'``, ``the number 3``."""
    match value:
        case None | True | False:
            return repr(value)
        case str():
            return f"the text {value!r}"
        case int() | float():
            return f"the number {value}"
        case list() | tuple():
            return "a list"
    return f"`{value}`"
