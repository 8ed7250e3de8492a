"""Expressions: conditions of guards, arithmetic in templates, arguments of operations and layers.

Immutable forms that print back to text which parses to the same, and one evaluator for what is only numbers, text and
lists. There is no ``eval``, no attribute walk and no power operator: values stay small.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Arithmetic",
    "Attribute",
    "Boolean",
    "Call",
    "Comparison",
    "Const",
    "EvaluationError",
    "Expression",
    "Index",
    "Inherit",
    "ListOf",
    "Minus",
    "Name",
    "Not",
    "Parameter",
    "evaluate",
    "names",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Expression:
    """The base of all expressions. `at` is the range of characters it was parsed from."""

    at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False, kw_only=True)

    def children(self) -> tuple[Expression, ...]:
        """The expressions directly inside this one."""
        return ()


@dataclass(frozen=True, slots=True)
class Const(Expression):
    """A number, a string, True, False or None."""

    value: Any

    def __str__(self) -> str:
        return quote(self.value) if isinstance(self.value, str) else repr(self.value)


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A bare name: a capture, an attribute of a tensor, a dtype, `old`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Parameter(Expression):
    """``$name``: the value of a parameter of the recipe."""

    name: str

    def __str__(self) -> str:
        return f"${{{self.name}}}"


@dataclass(frozen=True, slots=True)
class Inherit(Expression):
    """``...`` among the arguments of a layer: what is not given comes from the old layer."""

    def __str__(self) -> str:
        return "..."


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """``base.name``: an attribute of `old`, or a dotted name of a class."""

    base: Expression
    name: str

    def children(self) -> tuple[Expression, ...]:
        return (self.base,)

    def __str__(self) -> str:
        return f"{_inner(self.base, 9)}.{self.name}"


@dataclass(frozen=True, slots=True)
class Index(Expression):
    """``base[index]``: one element of a shape or a list."""

    base: Expression
    index: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.base, self.index)

    def __str__(self) -> str:
        return f"{_inner(self.base, 9)}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """``name(args, key=value)``: an operation, a layer, an initialiser."""

    name: str
    args: tuple[Expression, ...] = ()
    kwargs: tuple[tuple[str, Expression], ...] = ()

    def children(self) -> tuple[Expression, ...]:
        return (*self.args, *(value for _, value in self.kwargs))

    def __str__(self) -> str:
        inherits = [str(a) for a in self.args if isinstance(a, Inherit)]
        given = [str(a) for a in self.args if not isinstance(a, Inherit)]
        return f"{self.name}({', '.join([*given, *(f'{k}={v}' for k, v in self.kwargs), *inherits])})"


@dataclass(frozen=True, slots=True)
class ListOf(Expression):
    """``[a, b]`` or ``(a, b)``."""

    items: tuple[Expression, ...]
    is_tuple: bool = False

    def children(self) -> tuple[Expression, ...]:
        return self.items

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.items))
        if self.is_tuple:
            return f"({inside},)" if len(self.items) == 1 else f"({inside})"
        return f"[{inside}]"


@dataclass(frozen=True, slots=True)
class Minus(Expression):
    """``-a``."""

    operand: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.operand,)

    def __str__(self) -> str:
        return f"-{_inner(self.operand, 8)}"


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """``a + b`` and its kin: ``+ - * / // %``."""

    operator: str
    left: Expression
    right: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.left, self.right)

    def __str__(self) -> str:
        level = _LEVELS[self.operator]
        return f"{_inner(self.left, level)} {self.operator} {_inner(self.right, level + 1)}"


@dataclass(frozen=True, slots=True)
class Comparison(Expression):
    """A chain: ``8 <= i < 24`` has three operands and two operators."""

    operands: tuple[Expression, ...]
    operators: tuple[str, ...]

    def children(self) -> tuple[Expression, ...]:
        return self.operands

    def __str__(self) -> str:
        words = [_inner(self.operands[0], 5)]
        for op, operand in zip(self.operators, self.operands[1:], strict=True):
            words += [op, _inner(operand, 5)]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Not(Expression):
    """``not a``."""

    operand: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.operand,)

    def __str__(self) -> str:
        return f"not {_inner(self.operand, 3)}"


@dataclass(frozen=True, slots=True)
class Boolean(Expression):
    """``a and b``, ``a or b``."""

    operator: str
    left: Expression
    right: Expression

    def children(self) -> tuple[Expression, ...]:
        return (self.left, self.right)

    def __str__(self) -> str:
        level = _LEVELS[self.operator]
        return f"{_inner(self.left, level)} {self.operator} {_inner(self.right, level + 1)}"


_LEVELS = {"or": 1, "and": 2, "+": 6, "-": 6, "*": 7, "/": 7, "//": 7, "%": 7}


def _level(expression: Expression) -> int:
    """How tightly an expression binds, for printing: 9 is an atom."""
    match expression:
        case Boolean(operator=op) | Arithmetic(operator=op):
            return _LEVELS[op]
        case Not():
            return 3
        case Comparison():
            return 4
        case Minus():
            return 8
        case Const(value=bool()):
            return 9
        case Const(value=int() | float() as value) if value < 0:
            return 8
    return 9


def _inner(expression: Expression, least: int) -> str:
    return str(expression) if _level(expression) >= least else f"({expression})"


def quote(text: str) -> str:
    r"""A string literal that the language reads back as `text`.

    >>> print(quote('a"b'))
    'a"b'
    """
    mark = "'" if '"' in text and "'" not in text else '"'
    escaped = text.replace("\\", "\\\\").replace(mark, "\\" + mark).replace("\n", "\\n").replace("\t", "\\t")
    return f"{mark}{escaped}{mark}"


def unquote(literal: str) -> str:
    """The text of a string literal, quotes and escapes removed."""
    inside = literal[1:-1]
    if "\\" not in inside:
        return inside
    out, index = [], 0
    while index < len(inside):
        char = inside[index]
        if char == "\\":
            index += 1
            char = {"n": "\n", "t": "\t"}.get(inside[index], inside[index])
        out.append(char)
        index += 1
    return "".join(out)


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything inside it, outermost first."""
    yield expression
    for child in expression.children():
        yield from walk(child)


def names(expression: Expression) -> Iterator[Name]:
    """The bare names that an expression uses."""
    return (node for node in walk(expression) if isinstance(node, Name))


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
                raise EvaluationError(f"nothing is called `{name}` here", expression)
            return values[name]
        case ListOf(items=items, is_tuple=is_tuple):
            found = [evaluate(item, values) for item in items]
            return tuple(found) if is_tuple else found
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
    operands = [evaluate(operand, values) for operand in expression.operands]
    for op, left, right in zip(expression.operators, operands, operands[1:], strict=False):
        if left is None and op not in ("==", "!=", "in", "not in"):
            return False
        try:
            holds = _COMPARE[op](left, right)
        except TypeError as error:
            message = f"`{expression}` compares {describe(left)} with {describe(right)}"
            raise EvaluationError(message, expression) from error
        if not holds:
            return False
    return True


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
