"""Conditions on shapes that tell groups of tensors apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from surgery.lang.expression import Comparison, Const, Expression, Index, ListOf, Name
from surgery.tensors.spec import Spec

__all__ = ["told_apart"]


def told_apart(groups: Sequence[Sequence[Spec]]) -> list[Expression | None] | None:
    """A condition for each group that holds for its tensors and for no others; None where no one fact does it.

    >>> from surgery.ops.base import floats
    >>> [str(condition) for condition in told_apart([floats((6, 4), (6,)), floats((12, 4))])]
    ['shape[0] == 6', 'shape[0] == 12']
    """
    if len(groups) < 2:
        return [None] * len(groups)
    least = min(len(spec.shape) for specs in groups for spec in specs)
    asked: list[tuple[Expression, Callable[[Spec], int]]] = [(Name("ndim"), lambda spec: len(spec.shape))]
    for dim in range(least):
        asked.append((Index(Name("shape"), Const(dim)), lambda spec, dim=dim: spec.shape[dim]))  # type: ignore[misc]
    for expression, fact in asked:
        values = [sorted({fact(spec) for spec in specs}) for specs in groups]
        if sum(map(len, values)) == len({value for one in values for value in one}):
            return [_is_one_of(expression, one) for one in values]
    return None


def _is_one_of(expression: Expression, values: Sequence[int]) -> Expression:
    if len(values) == 1:
        return Comparison((expression, Const(values[0])), ("==",))
    return Comparison((expression, ListOf(tuple(map(Const, values)))), ("in",))
