"""The forms of expressions, immutable; each prints back to text which parses to the same form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from surgery.lang.expression.quoting import quote

__all__ = [
    "Arithmetic",
    "Attribute",
    "Boolean",
    "Call",
    "Comparison",
    "Const",
    "Expression",
    "Index",
    "Inherit",
    "ListOf",
    "Minus",
    "Name",
    "Not",
    "Parameter",
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


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything inside it, outermost first."""
    yield expression
    for child in expression.children():
        yield from walk(child)


def names(expression: Expression) -> Iterator[Name]:
    """The bare names that an expression uses."""
    return (node for node in walk(expression) if isinstance(node, Name))
