"""Arithmetic in a key, backwards: ``{i + 1}`` gives ``{i - 1}``; ``{2 * s + 1}`` the odd numbers, and ``{s // 2}``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from surgery.lang.expression import Arithmetic, Boolean, Comparison, Const, Expression, Minus, Name, Parameter, walk

__all__ = ["Undone", "divisors", "quotient_and_remainder", "remainders", "shifted", "undo"]


@dataclass(frozen=True, slots=True)
class Undone:
    """What the value of an arithmetic expression in one capture says of it; the value goes by the capture's name.

    Attributes:
        name: the capture.
        expression: its value, by the value of the expression.
        condition: which values the expression can have; None for all, but for those that would be negative.
    """

    name: str
    expression: Expression
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class _Linear:
    """``factor * name + constant``, and parameters that are added or taken away."""

    name: str | None
    factor: int
    constant: int
    parameters: tuple[tuple[int, Parameter], ...] = ()


def undo(expression: Expression, known: Mapping[str, tuple[int, int]] | None = None) -> Undone | None:
    """An expression in one capture, backwards; None where its value does not tell the capture.

    `known` are the remainders that a condition gives of captures: name -> (divisor, remainder).

    >>> i = Name("i")
    >>> print(undo(Arithmetic("+", i, Const(1))).expression)
    i - 1
    >>> odd = undo(Arithmetic("+", Arithmetic("*", Const(2), i), Const(1)))
    >>> print(odd.expression, "if", odd.condition)
    i // 2 if i % 2 == 1
    >>> print(undo(Arithmetic("//", i, Const(2)), {"i": (2, 1)}).expression)
    2 * i + 1
    """
    whole = _divided(expression, known or {})
    if whole is not None:
        return whole
    linear = _linear(expression)
    if linear is None or linear.name is None:
        return None
    name = Name(linear.name)
    if linear.factor == 1:
        found: Expression = _plus(name, -linear.constant)
        for sign, parameter in linear.parameters:
            found = Arithmetic("-" if sign > 0 else "+", found, parameter)
        return Undone(linear.name, found)
    if linear.parameters:
        return None
    if linear.factor == -1:
        return Undone(linear.name, Arithmetic("-", Const(linear.constant), name))
    if linear.factor < 2 or linear.constant < 0:
        return None
    inside = name if linear.constant < linear.factor else _plus(name, -linear.constant)
    parity = Comparison((Arithmetic("%", name, Const(linear.factor)), Const(linear.constant % linear.factor)), ("==",))
    return Undone(linear.name, Arithmetic("//", inside, Const(linear.factor)), parity)


def _divided(expression: Expression, known: Mapping[str, tuple[int, int]]) -> Undone | None:
    """The same of an expression in ``i // n``, where the remainder of `i` is known."""
    name = next((e.left.name for e in _quotients(expression) if known.get(e.left.name, (0, 0))[0] == e.right.value), "")
    if not name:
        return None
    divisor, remainder = known[name]
    quotient = undo(_with_quotient(expression, name, divisor))
    if quotient is None or quotient.condition is not None:
        return None
    return Undone(name, _plus(Arithmetic("*", Const(divisor), quotient.expression), remainder))


def _quotients(expression: Expression) -> Iterable[Any]:
    return (e for e in walk(expression) if _divides(e) and isinstance(e, Arithmetic) and e.operator == "//")


def divisors(expression: Expression) -> Iterable[tuple[str, int]]:
    """The captures that an expression divides, each with its divisor."""
    return ((e.left.name, e.right.value) for e in _quotients(expression))


def _with_quotient(expression: Expression, name: str, divisor: int) -> Expression:
    """The expression with the name itself in the place of ``name // divisor``."""
    if expression == Arithmetic("//", Name(name), Const(divisor)):
        return Name(name)
    if isinstance(expression, Arithmetic):
        left, right = (_with_quotient(e, name, divisor) for e in (expression.left, expression.right))
        return dataclasses.replace(expression, left=left, right=right)
    return expression


def remainders(conditions: Iterable[Expression]) -> dict[str, tuple[int, int]]:
    """The remainders that conditions give of captures: of ``s % 2 == 1`` comes ``{"s": (2, 1)}``."""
    found: dict[str, tuple[int, int]] = {}
    for condition in conditions:
        if isinstance(condition, Boolean) and condition.operator == "and":
            found |= remainders((condition.left, condition.right))
        match condition:
            case Comparison(
                operands=(Arithmetic(operator="%") as rest, Const(value=int() as value)), operators=("==",)
            ):
                if _divides(rest) and isinstance(rest.left, Name) and isinstance(rest.right, Const):
                    found[rest.left.name] = (rest.right.value, value)
    return found


def quotient_and_remainder(expressions: list[Expression]) -> tuple[str, int] | None:
    """The capture and the divisor, where two expressions are ``i // n`` and ``i % n``, in whatever order."""
    found = {e.operator: (e.left.name, e.right.value) for e in expressions if _divides(e)}  # type: ignore[attr-defined]
    if len(expressions) != 2 or set(found) != {"//", "%"} or found["//"] != found["%"]:
        return None
    return found["//"]


def _divides(expression: Expression) -> bool:
    return (
        isinstance(expression, Arithmetic)
        and expression.operator in ("//", "%")
        and isinstance(expression.left, Name)
        and isinstance(expression.right, Const)
        and type(expression.right.value) is int
        and expression.right.value > 0
    )


def shifted(condition: Expression, name: str, by: Expression) -> Expression:
    """A condition in which a capture is replaced by an expression; comparisons with integers are worked out.

    >>> i = Name("i")
    >>> print(shifted(Comparison((Const(8), i, Const(24)), ("<=", "<")), "i", Arithmetic("-", i, Const(16))))
    24 <= i < 40
    """
    if isinstance(condition, Name):
        return by if condition.name == name else condition
    if isinstance(condition, Comparison):
        offset = _linear(by)
        simple = all(_is_integer(o) or (isinstance(o, Name) and o.name == name) for o in condition.operands)
        if simple and offset and offset.factor == 1 and not offset.parameters and "in" not in condition.operators:
            moved = [o if isinstance(o, Name) else Const(o.value - offset.constant) for o in condition.operands]  # type: ignore[attr-defined]
            return Comparison(tuple(moved), condition.operators)
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(condition):
        value = getattr(condition, field.name)
        if isinstance(value, Expression):
            changes[field.name] = shifted(value, name, by)
        elif isinstance(value, tuple) and value and all(isinstance(item, Expression) for item in value):
            changes[field.name] = tuple(shifted(item, name, by) for item in value)
    return dataclasses.replace(condition, **changes) if changes else condition


def _is_integer(expression: Expression) -> bool:
    return isinstance(expression, Const) and type(expression.value) is int


def _plus(expression: Expression, constant: int) -> Expression:
    if constant == 0:
        return expression
    return Arithmetic("+" if constant > 0 else "-", expression, Const(abs(constant)))


def _linear(expression: Expression) -> _Linear | None:
    """The expression in linear form; None where it has none, or two captures."""
    match expression:
        case Name(name=name):
            return _Linear(name, 1, 0)
        case Const(value=int() as value) if type(value) is int:
            return _Linear(None, 0, value)
        case Parameter():
            return _Linear(None, 0, 0, ((1, expression),))
        case Minus(operand=operand):
            return _scaled(_linear(operand), -1)
        case Arithmetic(operator="*", left=left, right=right):
            first, second = _linear(left), _linear(right)
            for one, other in ((first, second), (second, first)):
                if one and other and one.name is None and not one.parameters:
                    return _scaled(other, one.constant)
            return None
        case Arithmetic(operator="+" | "-" as operator, left=left, right=right):
            return _added(_linear(left), _scaled(_linear(right), 1 if operator == "+" else -1))
    return None


def _scaled(linear: _Linear | None, by: int) -> _Linear | None:
    if linear is None or (linear.parameters and abs(by) != 1):
        return None
    signs = tuple((sign * by, parameter) for sign, parameter in linear.parameters)
    return _Linear(linear.name, linear.factor * by, linear.constant * by, signs)


def _added(one: _Linear | None, other: _Linear | None) -> _Linear | None:
    if one is None or other is None or (one.name and other.name and one.name != other.name):
        return None
    constant, parameters = one.constant + other.constant, (*one.parameters, *other.parameters)
    return _Linear(one.name or other.name, one.factor + other.factor, constant, parameters)
