"""Arithmetic as sums: ``2 * i + 1 - $n`` is twice `i`, one, and a parameter that is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from surgery.lang.expression import Arithmetic, Const, Expression, Minus, Name, Parameter

__all__ = ["Sum", "plus", "sum_of"]


@dataclass(frozen=True, slots=True)
class Sum:
    """Captures, each with its factor, a constant, and parameters that are added (1) or taken away (-1)."""

    factors: Mapping[str, int]
    constant: int
    parameters: tuple[tuple[int, Parameter], ...] = ()

    @property
    def shifted(self) -> str | None:
        """The one capture, where something is added to it; None of other sums."""
        return next(iter(self.factors)) if list(self.factors.values()) == [1] else None

    def scaled(self, by: int) -> Sum | None:
        """The sum so many times; None where it would take a parameter several times."""
        if self.parameters and abs(by) != 1:
            return None
        signs = tuple((sign * by, parameter) for sign, parameter in self.parameters)
        return Sum({name: factor * by for name, factor in self.factors.items()}, self.constant * by, signs)

    def __add__(self, other: Sum) -> Sum:
        names = {**self.factors, **other.factors}
        factors = {name: self.factors.get(name, 0) + other.factors.get(name, 0) for name in names}
        parameters = list(self.parameters)
        for sign, parameter in other.parameters:
            if (-sign, parameter) in parameters:
                parameters.remove((-sign, parameter))
            else:
                parameters.append((sign, parameter))
        return Sum(factors, self.constant + other.constant, tuple(parameters))

    def taken_from(self, value: Expression) -> Expression:
        """A value less the constant and the parameters of this sum."""
        value = plus(value, -self.constant)
        for sign, parameter in self.parameters:
            value = Arithmetic("-" if sign > 0 else "+", value, parameter)
        return value

    def written(self) -> Expression | None:
        """A sum without captures as one writes it; None where it would begin with a minus sign."""
        first = next((parameter for sign, parameter in self.parameters if sign > 0), None)
        if first is None:
            return None if self.parameters else Const(self.constant)
        rest = list(self.parameters)
        rest.remove((1, first))
        return Sum({}, -self.constant, tuple((-sign, parameter) for sign, parameter in rest)).taken_from(first)


def sum_of(expression: Expression) -> Sum | None:
    """The expression as a sum; None where it is none.

    >>> sum_of(Arithmetic("+", Arithmetic("*", Const(2), Name("i")), Const(1)))
    Sum(factors={'i': 2}, constant=1, parameters=())
    """
    match expression:
        case Name(name=name):
            return Sum({name: 1}, 0)
        case Const(value=int() as value) if type(value) is int:
            return Sum({}, value)
        case Parameter():
            return Sum({}, 0, ((1, expression),))
        case Minus(operand=operand):
            inner = sum_of(operand)
            return inner and inner.scaled(-1)
        case Arithmetic(operator="*" | "+" | "-" as operator, left=left, right=right):
            one, other = sum_of(left), sum_of(right)
            if one is None or other is None:
                return None
            if operator == "*":
                return _product(one, other) or _product(other, one)
            other = other if operator == "+" else other.scaled(-1)
            return other and one + other
    return None


def _product(one: Sum, other: Sum) -> Sum | None:
    return None if one.factors or one.parameters else other.scaled(one.constant)


def plus(expression: Expression, constant: int) -> Expression:
    """The sum of an expression and a constant, as one writes it."""
    if constant == 0:
        return expression
    return Arithmetic("+" if constant > 0 else "-", expression, Const(abs(constant)))
