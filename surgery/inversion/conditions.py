"""The conditions of a rule that goes into the mirror: what they tell of its captures, and what becomes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from surgery.inversion.arithmetic import Known, divides
from surgery.inversion.sums import Sum, sum_of
from surgery.lang.expression import Arithmetic, Boolean, Comparison, Const, Expression, Name

__all__ = ["known", "says_only_remainders", "shifted", "told"]


def known(conditions: Iterable[Expression]) -> Known:
    """What conditions tell of captures: of ``s % 2 == 1`` a remainder, of ``s < 4`` a bound."""
    found = Known()
    for condition in conditions:
        match condition:
            case Boolean(operator="and", left=left, right=right):
                found |= known((left, right))
            case Comparison(
                operands=(Arithmetic(operator="%") as rest, Const(value=int() as value)), operators=("==",)
            ):
                if divides(rest):
                    found |= Known({rest.left.name: (rest.right.value, value)})  # type: ignore[attr-defined]
            case Comparison(
                operands=(*_, Name(name=name), Const(value=int() as value)), operators=(*_, "<" | "<=" as less)
            ):
                found |= Known(below={name: value + (less == "<=")})
    return found


def says_only_remainders(condition: Expression, name: str) -> bool:
    """Whether a condition says nothing but what remainder a capture has."""
    if isinstance(condition, Boolean) and condition.operator == "and":
        return says_only_remainders(condition.left, name) and says_only_remainders(condition.right, name)
    return name in known((condition,)).remainders


def shifted(condition: Expression, what: Expression, by: Expression) -> Expression:
    """A condition in which one expression is replaced by another; comparisons with integers are worked out.

    >>> i = Name("i")
    >>> print(shifted(Comparison((Const(8), i, Const(24)), ("<=", "<")), i, Arithmetic("-", i, Const(16))))
    24 <= i < 40
    >>> from surgery.lang.expression import Parameter
    >>> n, first = Parameter("n"), Parameter("first")
    >>> print(shifted(Comparison((i, Arithmetic("+", first, n)), (">=",)), i, Arithmetic("+", i, n)))
    i >= ${first}
    """
    if condition == what:
        return by
    if isinstance(condition, Comparison):
        moved = _moved(condition, what, by)
        if moved is not None:
            return moved
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(condition):
        value = getattr(condition, field.name)
        if isinstance(value, Expression):
            changes[field.name] = shifted(value, what, by)
        elif isinstance(value, tuple) and value and all(isinstance(item, Expression) for item in value):
            changes[field.name] = tuple(shifted(item, what, by) for item in value)
    return dataclasses.replace(condition, **changes) if changes else condition


def _moved(condition: Comparison, what: Expression, by: Expression) -> Comparison | None:
    """A comparison of an index in which another one, and something added to it, takes its place: that is worked out."""
    form = sum_of(by)
    if form is None or form.shifted is None or "in" in condition.operators:
        return None
    operands: list[Expression] = []
    offset = Sum({}, form.constant, form.parameters).scaled(-1)
    for operand in condition.operands:
        other = sum_of(operand)
        if operand == what:
            operands.append(Name(form.shifted))
        elif other is not None and not other.factors and offset and (less := (other + offset).written()):
            operands.append(less)
        else:
            return None
    return Comparison(tuple(operands), condition.operators)


def told(condition: Expression) -> Expression | None:
    """A condition without what holds of every index; None where nothing else is left.

    >>> i = Name("i")
    >>> print(told(Comparison((i, Const(0)), (">=",))), told(Comparison((Const(0), i, Const(8)), ("<=", "<"))))
    None i < 8
    """
    match condition:
        case Boolean(operator="and", left=left, right=right):
            one, other = told(left), told(right)
            return Boolean("and", one, other) if one and other else one or other
        case Comparison(operands=(one, Const(value=int() as low)), operators=(">=",)) if low <= 0 and _counts(one):
            return None
        case Comparison(operands=(Const(value=int() as low), one, *_), operators=("<=", *_)) if low <= 0 and _counts(
            one
        ):
            rest = condition.operators[1:]
            return told(Comparison(condition.operands[1:], rest)) if rest else None
        case Comparison(operands=(Arithmetic(operator="%") as one, Const(value=int() as high)), operators=("<",)):
            return None if _counts(one) and high >= one.right.value else condition  # type: ignore[attr-defined]
    return condition


def _counts(expression: Expression) -> bool:
    """Whether this is never negative."""
    match expression:
        case Name() | Arithmetic(operator="%", right=Const(value=int())):
            return True
    return False
