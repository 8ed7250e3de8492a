"""Which parameters a state may be that of, by its shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from surgery.tensors.expr import TensorExpr

__all__ = ["Shapes", "may_be", "shapes_of"]

#: the shapes of the tensors in the state of one parameter, its count of steps left out
Shapes: TypeAlias = frozenset[tuple[int, ...]]


def shapes_of(state: Any) -> Shapes:
    """The shapes of a state; none where there is no state, as of an SGD without momentum."""
    items = state.items() if isinstance(state, Mapping) else ()
    return frozenset(value.spec.shape for name, value in items if isinstance(value, TensorExpr) and name != "step")


def may_be(shapes: Shapes, parameter: tuple[int, ...]) -> bool:
    """Whether a state of these shapes may be that of a parameter.

    One of its tensors has the very shape (momentum), or several make it up: the row and the column of a factored second
    moment (Adafactor), which keep a size of 1 in torch and not in fairseq and transformers.

    >>> may_be(frozenset({(8, 4)}), (8, 4)), may_be(frozenset({(8, 1), (1, 4)}), (8, 4))
    (True, True)
    >>> may_be(frozenset({(8,), (4,)}), (8, 4)), may_be(frozenset({(8,)}), (8, 4))
    (True, False)
    """
    if not shapes or parameter in shapes:
        return True
    if len(parameter) < 2:
        return False
    if {parameter[:-1], (*parameter[:-2], parameter[-1])} <= shapes:
        return True
    factors = [shape for shape in shapes if len(shape) == len(parameter)]
    return bool(factors) and tuple(map(max, zip(*factors, strict=True))) == parameter
