"""Checks of values: they travel with the expressions, so that a run needs no second pass over the data.

A tensor that is checked is computed (read into memory) where it would be copied as bytes otherwise; the others are not
touched. A tensor that a later step drops is never read, and so not checked either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from surgery.diagnostics import Span
from surgery.ops.finite import Finite
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.subject import Subject

__all__ = ["with_finite_values"]


def with_finite_values(subject: Subject, keys: Iterable[str], span: Span | None) -> Subject:
    """`subject`, the values of the tensors `keys` being checked when they are read. Ties stay.

    Integers and booleans are finite, and left as they are.
    """
    checked: dict[int, TensorExpr] = {}
    for key in keys:
        expr = subject.entries[key].expr
        done = isinstance(expr, Computed) and isinstance(expr.operation, Finite)
        if expr.spec.dtype.kind in ("float", "complex") and not done:
            checked.setdefault(id(expr), Computed(expr.spec, Finite(key, span), (expr,)))
    if not checked:
        return subject
    entries = {
        key: dataclasses.replace(entry, expr=checked.get(id(entry.expr), entry.expr))
        for key, entry in subject.entries.items()
    }
    return subject.replace(entries=entries)
