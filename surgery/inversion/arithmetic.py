"""Arithmetic in a key, backwards: ``{i + 1}`` gives ``{i - 1}``; ``{2 * s + 1}`` the odd numbers, and ``{s // 2}``.

An index may also be parted, ``{i // 3}.{i % 3}``, or two be put together, ``{3 * i + j}``: each is the other backwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from surgery.inversion.sums import Sum, plus, sum_of
from surgery.lang.expression import Arithmetic, Comparison, Const, Expression, Name, names, walk

__all__ = ["Known", "Parted", "Undone", "divides", "divisors", "parted", "small", "undo", "undo_two"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of captures, by conditions or by the keys at hand.

    Attributes:
        remainders: name -> (divisor, remainder).
        below: name -> a number that it does not reach.
    """

    remainders: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    below: Mapping[str, int] = field(default_factory=dict)

    def __or__(self, other: Known) -> Known:
        return Known({**self.remainders, **other.remainders}, {**self.below, **other.below})


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
    form = sum_of(expression)
    if form is None or len(form.factors) != 1:
        return None
    ((capture, factor),) = form.factors.items()
    name = Name(capture)
    if factor == 1:
        return Undone(capture, form.taken_from(name))
    if factor == -1:
        rest = Sum({}, form.constant, form.parameters).written()
        return Undone(capture, Arithmetic("-", rest, name)) if rest else None
    if factor < 2 or form.constant < 0 or form.parameters:
        return None
    parity = Comparison((Arithmetic("%", name, Const(factor)), Const(form.constant % factor)), ("==",))
    return Undone(capture, plus(Arithmetic("//", name, Const(factor)), -(form.constant // factor)), parity)


def undo_two(expression: Expression, below: Mapping[str, int]) -> list[Undone] | None:
    """An expression in two captures, backwards, the value by the name of the first; None where it does not tell them.

    `below` are numbers that captures do not reach.

    >>> i, j = Name("i"), Name("j")
    >>> for undone in undo_two(plus(Arithmetic("+", Arithmetic("*", Const(3), i), j), 1), {"j": 2}):
    ...     print(undone.name, "=", undone.expression, "if", undone.condition)
    i = (i - 1) // 3 if (i - 1) % 3 < 2
    j = (i - 1) % 3 if None
    """
    form, low = sum_of(expression), small(expression)
    if form is None or form.parameters or low is None or low not in below:
        return None
    high, factor = next((name, factor) for name, factor in form.factors.items() if name != low)
    if below[low] > factor:
        return None
    whole = plus(Name(next(names(expression)).name), -form.constant)
    rest = Arithmetic("%", whole, Const(factor))
    condition = Comparison((rest, Const(below[low])), ("<",)) if below[low] < factor else None
    return [Undone(high, Arithmetic("//", whole, Const(factor)), condition), Undone(low, rest)]


def small(expression: Expression) -> str | None:
    """The capture that counts one by one, where an expression puts two together, as ``j`` in ``{3 * i + j}``."""
    form = sum_of(expression)
    if form is None or len(form.factors) != 2:
        return None
    (low, one), (_, factor) = sorted(form.factors.items(), key=lambda item: item[1])
    return low if one == 1 and factor > 1 else None


def _divided(expression: Expression, known: Mapping[str, tuple[int, int]]) -> Undone | None:
    """The same of an expression in ``i // n``, where the remainder of `i` is known."""
    name = next((e.left.name for e in _quotients(expression) if known.get(e.left.name, (0, 0))[0] == e.right.value), "")
    if not name:
        return None
    divisor, remainder = known[name]
    quotient = undo(_with_quotient(expression, name, divisor))
    if quotient is None or quotient.condition is not None:
        return None
    form = sum_of(quotient.expression)
    if form is None or form.parameters or form.factors != {name: 1}:
        return Undone(name, plus(Arithmetic("*", Const(divisor), quotient.expression), remainder))
    return Undone(name, plus(Arithmetic("*", Const(divisor), Name(name)), divisor * form.constant + remainder))


def _quotients(expression: Expression) -> Iterable[Any]:
    return (e for e in walk(expression) if divides(e) and isinstance(e, Arithmetic) and e.operator == "//")


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


class Parted(NamedTuple):
    """An index that is parted: ``(name + shift) // divisor`` and ``(name + shift) % divisor``."""

    name: str
    shift: int
    divisor: int


def parted(expressions: Iterable[Expression]) -> Parted | None:
    """How two expressions, the quotient and the remainder of one capture, part it; None where they are none.

    >>> i, three = Name("i"), Const(3)
    >>> parted([Arithmetic("//", i, three), Arithmetic("%", i, three)])
    Parted(name='i', shift=0, divisor=3)
    """
    found: dict[str, Parted] = {}
    for one in expressions:
        form = sum_of(one.left) if isinstance(one, Arithmetic) else None
        if form is None or form.shifted is None or form.parameters or not _by_integer(one):
            return None
        found[one.operator] = Parted(form.shifted, form.constant, one.right.value)  # type: ignore[attr-defined]
    return found["//"] if len(found) == 2 and len(set(found.values())) == 1 else None


def divides(expression: Expression) -> bool:
    """Whether this is a capture divided by an integer, or what is left of that."""
    return _by_integer(expression) and isinstance(expression, Arithmetic) and isinstance(expression.left, Name)


def _by_integer(expression: Expression) -> bool:
    return (
        isinstance(expression, Arithmetic)
        and expression.operator in ("//", "%")
        and isinstance(expression.right, Const)
        and type(expression.right.value) is int
        and expression.right.value > 0
    )
