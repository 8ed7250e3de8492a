"""``with``: where the tensors of a new layer come from, if not from its own initialisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from surgery.diagnostics import Diagnostic, Span, SurgeryError, fail
from surgery.lang.expression import Call, Name
from surgery.lang.rule import Rule
from surgery.ops.base import Op, OpError
from surgery.ops.cast import Cast
from surgery.ops.overlap import Overlap
from surgery.planning.pipeline import Pipeline, bind_arguments, bind_operation
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.spec import Spec, format_shape
from surgery.tensors.subject import Entry, Touch
from surgery.wording import listed

__all__ = ["Carried", "carry", "check_carry"]


@dataclass(frozen=True, slots=True)
class Carried:
    """New entries whose values come from the old layer, and the names of the old tensors that went into them."""

    entries: Mapping[str, Entry]
    used: frozenset[str]


def check_carry(rule: Rule) -> Op | None:
    """The operation behind ``with``; None for ``with old``.

    Raises:
        SurgeryError: it is unknown, or its arguments are not its own.
    """
    expression: Call | Name = rule.right.carry
    if expression.name == "old":
        if isinstance(expression, Call):
            raise fail("carry", "`with old` takes no arguments", rule.span_of(expression.at))
        return None
    if expression.name == "overlap":
        return bind_arguments(Overlap, expression, rule)
    op = bind_operation(expression, rule)
    if op.arity != "each":
        message = f"`{op.name}` does not make one tensor of one"
        raise fail("carry", message, rule.span_of(expression.at), ("`with` wants such an operation",))
    return op


def carry(rule: Rule, path: str, old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Carried:
    """The entries of `new` that take their values from `old`, by name. Names are those below `path`.

    Raises:
        SurgeryError: ``carry``, where a tensor has no partner or does not fit.
    """
    op = check_carry(rule)
    span = rule.span_of(rule.right.carry.at)
    entries: dict[str, Entry] = {}
    wrong: list[Diagnostic] = []
    for name, entry in new.items():
        source = old.get(name)
        if source is None:
            if op is None:
                notes = (f"the old layer has {listed(old) or 'no tensors'}",)
                message = f"`with old`: the old layer has no `{name}`, which the new one needs"
                wrong.append(Diagnostic("carry", message, span, notes))
            continue
        try:
            expr = _fitted(op, entry, source, span)
        except OpError as error:
            wrong.append(Diagnostic("carry", f"`{path}.{name}`: {error.message}", span))
            continue
        entries[name] = _entry(path, name, entry, source, expr, rule)
    if not wrong and not entries:
        message = "the old and the new layer have no tensor of the same name"
        wrong.append(Diagnostic("carry", message, span, (f"the new one has {listed(new) or 'nothing'}",)))
    if wrong:
        raise SurgeryError(wrong)
    return Carried(entries, frozenset(entries))


def _entry(path: str, name: str, new: Entry, source: Entry, expr: TensorExpr, rule: Rule) -> Entry:
    action = f"{path}.{name}: with {rule.right.carry}"
    touch = Touch("replace_layer", action, rule.span, computes=expr is not source.expr)
    return dataclasses.replace(
        source.touched(touch, expr=expr), kind=new.kind, requires_grad=new.requires_grad, device=new.device
    )


def _fitted(op: Op | None, new: Entry, source: Entry, span: Span | None) -> TensorExpr:
    """The old tensor, made to fit.

    An operation is applied where it gives the new shape; elsewhere (``adapt_channels`` on a bias) the tensor is taken
    as it is, if it fits.

    Raises:
        OpError: it does not fit.
    """
    wanted = new.spec
    if isinstance(op, Overlap):
        return _cast(_overlapped(op, new, source, span), wanted)
    if op is not None:
        try:
            (spec,) = op.infer((source.spec,), None)
        except OpError:
            if source.spec.shape != wanted.shape:
                raise
        else:
            if spec.shape == wanted.shape:
                return _cast(Pipeline([(op, span)]).apply((source.expr,), 1)[0], wanted)
    if source.spec.shape != wanted.shape:
        by = f" `{op}` makes {format_shape(spec.shape)} of it" if op is not None else " `with overlap` keeps a corner"
        shapes = f"{format_shape(source.spec.shape)} does not fit into {format_shape(wanted.shape)};"
        raise OpError(shapes + by)
    return _cast(source.expr, wanted)


def _overlapped(op: Overlap, new: Entry, source: Entry, span: Span | None) -> TensorExpr:
    if source.spec.shape == new.spec.shape:
        return source.expr
    op.infer((new.spec, source.spec), 1)
    if op.fill == "fresh" and any(a > b for a, b in zip(new.spec.shape, source.spec.shape, strict=True)):
        old = _cast(source.expr, new.spec)
        return Computed(new.spec, op, (new.expr, old))
    steps = [(step, span) for step in op.steps(new.spec, source.spec)]
    return Pipeline(steps).apply((source.expr,), 1)[0]


def _cast(expr: TensorExpr, wanted: Spec) -> TensorExpr:
    """The tensor in the new layer's dtype."""
    if expr.spec.dtype == wanted.dtype:
        return expr
    return Computed(Spec(expr.spec.shape, wanted.dtype), Cast(wanted.dtype), (expr,))
