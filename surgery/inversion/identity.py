"""Whether expressions come to what they began with: operations that undo each other cancel.

Tensors are stood for by symbols, so that a proof needs no data: what a step computes of a symbol, and its inverse of
that, must come to the symbol again. That an operation and its `inverse` cancel bit for bit is the law that every
operation is tested for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence

from surgery.inversion.operations import VIEWS
from surgery.ops.base import Op
from surgery.ops.chunk import Chunk
from surgery.ops.patterns import solve
from surgery.ops.rearrange import Rearrange
from surgery.ops.split import Split
from surgery.tensors.expr import Computed, Initial, TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Origin, Subject

__all__ = ["name_of", "reduced", "symbolic"]


class _Symbols:
    """The producer of symbols, which are never produced."""

    def describe(self, name: str) -> str:
        return f"the tensor {name}"

    def produce(self, name: str) -> object:
        raise AssertionError(name)


_SYMBOLS = _Symbols()


def symbolic(subject: Subject) -> Subject:
    """The subject with a symbol in the place of each tensor, named after the first key with these values.

    Tied tensors share a symbol; equal ones that are not tied (copies) share its name. The only origin of an entry is
    its own key, and no rule has touched it yet.
    """
    names: dict[Hashable, str] = {}
    known: dict[int, TensorExpr] = {}
    entries = {}
    for key, entry in subject.entries.items():
        name = names.setdefault(name_of(entry.expr) or id(entry.expr), key)
        symbol = known.setdefault(id(entry.expr), Initial(entry.spec, _SYMBOLS, name))
        entries[key] = dataclasses.replace(entry, expr=symbol, origins=(Origin("", key),), trail=())
    return subject.replace(entries=entries)


def name_of(expr: TensorExpr) -> str | None:
    """The key that a symbol is named after; None for anything else."""
    return expr.name if isinstance(expr, Initial) and expr.producer is _SYMBOLS else None


def reduced(expr: TensorExpr) -> TensorExpr:
    """The expression without operations that undo each other."""
    return _Reducer().of(expr)


class _Reducer:
    def __init__(self) -> None:
        self._known: dict[Hashable, TensorExpr] = {}

    def of(self, expr: TensorExpr) -> TensorExpr:
        if not isinstance(expr, Computed):
            return expr
        if id(expr) not in self._known:
            self._known[id(expr)] = self._cancelled(expr)
        return self._known[id(expr)]

    def _cancelled(self, expr: Computed) -> TensorExpr:
        inputs = tuple(self.of(one) for one in expr.inputs)
        inner = _one_application(inputs)
        second = expr.operation
        if inner is None or not isinstance(second, Op) or not isinstance(inner.operation, Op):
            return dataclasses.replace(expr, inputs=inputs)
        before, between = _specs(inner.inputs), _specs(inputs)
        if expr.outputs == len(inner.inputs) and _undoes(second, inner.operation, before, between):
            return inner.inputs[expr.output]
        return dataclasses.replace(expr, inputs=inputs)


def _specs(exprs: Sequence[TensorExpr]) -> tuple[Spec, ...]:
    return tuple(expr.spec for expr in exprs)


def _one_application(results: Sequence[TensorExpr]) -> Computed | None:
    """The application of an operation whose results these are: all of them, in order."""
    first = results[0] if results else None
    if not isinstance(first, Computed) or first.outputs != len(results):
        return None
    for number, one in enumerate(results):
        same = (
            isinstance(one, Computed)
            and one.output == number
            and one.outputs == len(results)
            and one.operation == first.operation
            and len(one.inputs) == len(first.inputs)
            and all(_same(a, b) for a, b in zip(one.inputs, first.inputs, strict=True))
        )
        if not same:
            return None
    return first


def _same(one: TensorExpr, other: TensorExpr) -> bool:
    """Whether two expressions have the same values."""
    if one is other:
        return True
    if isinstance(one, Initial) and isinstance(other, Initial):
        return one.producer is other.producer and one.name == other.name
    if isinstance(one, Computed) and isinstance(other, Computed):
        alike = (one.operation, one.output, one.outputs) == (other.operation, other.output, other.outputs)
        return alike and len(one.inputs) == len(other.inputs) and all(map(_same, one.inputs, other.inputs))
    return False


def _undoes(second: Op, first: Op, before: tuple[Spec, ...], between: tuple[Spec, ...]) -> bool:
    """Whether `second` makes the inputs of `first` of its results again, bit for bit."""
    inverse = first.inverse(before, between)
    if inverse is None:
        return False
    return inverse == second or _do_the_same(inverse, second, between)


def _do_the_same(one: Op, other: Op, inputs: tuple[Spec, ...]) -> bool:
    """Whether two views have one shape, two operations part at the same places, or two patterns do the same."""
    if isinstance(one, Chunk | Split) and isinstance(other, Chunk | Split):
        sizes = next((len(op.sizes) for op in (one, other) if isinstance(op, Split)), 0)
        return one.dim == other.dim and one.infer(inputs, sizes) == other.infer(inputs, sizes)
    if isinstance(one, VIEWS) and isinstance(other, VIEWS):
        return one.infer(inputs, 1) == other.infer(inputs, 1)
    if not isinstance(one, Rearrange) or not isinstance(other, Rearrange):
        return False
    first, second = (solve("rearrange", op.pattern, op.axes, inputs[0].shape) for op in (one, other))
    return (first.left, first.right, first.sizes) == (second.left, second.right, second.sizes)
