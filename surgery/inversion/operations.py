"""The operations of a rule backwards, as they are written: of ``concat | flip`` comes ``flip | chunk``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.lang.expression import Call, Expression, Name
from surgery.ops.base import Op, OpError
from surgery.ops.chunk import Chunk
from surgery.ops.reshape import Flatten, Reshape, Squeeze, Unsqueeze
from surgery.ops.split import Split
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["VIEWS", "Application", "applications", "together", "why_none", "written"]

#: operations whose result follows from its shape
VIEWS = (Reshape, Flatten, Squeeze, Unsqueeze)


@dataclass(frozen=True, slots=True)
class Application:
    """An operation at work, once.

    Attributes:
        place: its place behind ``via``, from 0.
    """

    place: int
    operation: Op
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]

    def inverse(self, *, counting: bool = False) -> Op | None:
        """The operation that makes the inputs of the outputs again; with `counting` one that says how many they are."""
        found = self.operation.inverse(self.inputs, self.outputs)
        if counting and isinstance(found, Chunk):
            return Split(tuple(spec.shape[found.dim] for spec in self.inputs), dim=found.dim)
        return found


def applications(expr: TensorExpr, length: int) -> Iterator[Application]:
    """The operations, `length` in a row, that made an expression."""
    if not length or not isinstance(expr, Computed) or not isinstance(expr.operation, Op):
        return
    inputs = tuple(one.spec for one in expr.inputs)
    outputs: tuple[Spec, ...] = (expr.spec,)
    if expr.outputs > 1:
        outputs = expr.operation.infer(inputs, expr.outputs)
    yield Application(length - 1, expr.operation, inputs, outputs)
    for one in expr.inputs:
        yield from applications(one, length - 1)


def together(ops: Sequence[Op]) -> Op | None:
    """One operation in the place of several: shapes that differ in one size are one shape, with that size left open.

    >>> print(together([Reshape((96, 1, 1)), Reshape((192, 1, 1))]), together([Reshape((2, 3)), Reshape((3, 2))]))
    reshape(-1, 1, 1) None
    """
    first, *others = dict.fromkeys(ops)
    if not others:
        return first
    shapes = [op.shape for op in (first, *others) if isinstance(op, Reshape)]
    if len(shapes) <= len(others) or len({len(shape) for shape in shapes}) > 1:
        return None
    sizes = [set(column) for column in zip(*shapes, strict=True)]
    if sum(len(column) > 1 for column in sizes) != 1:
        return None
    return Reshape(tuple(column.pop() if len(column) == 1 else -1 for column in sizes))


def written(inverse: Op, original: Op, call: Call | Name, outputs: Sequence[Spec] = ()) -> str:
    """An inverse as one would write it: what `original` was called with, in `call`, stays in the same words.

    `outputs` are shapes that it has to take; sizes that follow from all of them are left out.

    >>> from surgery.lang import parse_expression
    >>> from surgery.text import Text
    >>> from surgery.ops.rearrange import Rearrange
    >>> call = parse_expression(Text.plain('rearrange("(h two) e -> (two h) e", h=$heads, two=2)'))
    >>> op = Rearrange("(h two) e -> (two h) e", (("h", 4), ("two", 2)))
    >>> print(written(op.inverse_anywhere(), op, call))
    rearrange("(two h) e -> (h two) e", h=$heads, two=2)
    """
    if inverse == original:
        return _text(call)
    said = dict(call.kwargs) if isinstance(call, Call) else {}
    inverse = _shortest(inverse, said, outputs)
    made = _as_call(inverse)
    kwargs = dict(made.kwargs)
    for field in dataclasses.fields(inverse):  # type: ignore[arg-type]
        same = field.name in said and getattr(original, field.name, None) == getattr(inverse, field.name)
        if same and field.name not in (inverse.keywords, inverse.variadic) and field.default is not dataclasses.MISSING:
            kwargs[field.name] = said[field.name]
    values = dict(getattr(inverse, inverse.keywords)) if inverse.keywords else {}
    before = dict(getattr(original, original.keywords)) if original.keywords else {}
    for name, value in values.items():
        if name in said and before.get(name) == value:
            kwargs[name] = said[name]
    order = [*[name for name in said if name in kwargs], *[name for name in kwargs if name not in said]]
    again = Call(made.name, made.args, tuple((name, kwargs[name]) for name in order))
    return _text(again) if again.args or again.kwargs else again.name


def _as_call(op: Op) -> Call:
    from surgery.lang.parser import parse_expression
    from surgery.text import Text

    parsed = parse_expression(Text.plain(str(op)))
    return parsed if isinstance(parsed, Call) else Call(op.name)


def _text(expression: Expression) -> str:
    """An expression with its parameters as people write them."""
    from surgery.inversion.text import plain_parameters

    return plain_parameters(str(expression))


def _shortest(op: Op, said: Mapping[str, Any], outputs: Sequence[Spec]) -> Op:
    """The operation without the sizes that follow from the shapes and were not given before."""
    if not op.keywords or not outputs:
        return op
    for name, value in reversed(getattr(op, op.keywords)):
        fewer = tuple(pair for pair in getattr(op, op.keywords) if pair != (name, value))
        shorter = dataclasses.replace(op, **{op.keywords: fewer})  # type: ignore[type-var]
        if name not in said and _agree(shorter, op, outputs):
            op = shorter
    return op


def _agree(one: Op, other: Op, specs: Sequence[Spec]) -> bool:
    try:
        return all(one.infer((spec,), 1) == other.infer((spec,), 1) for spec in specs)
    except OpError:
        return False


def why_none(op: Op, call: Call | Name) -> str:
    """Why nothing undoes an operation, which is called so, for people."""
    if op.arity == "join":
        return f"nothing takes apart again what `{_text(call)}` joins"
    return f"nothing undoes `{_text(call)}` bit for bit"
