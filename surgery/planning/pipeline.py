"""Operations behind ``via``: bound to their arguments once, then applied to expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from surgery.diagnostics import Diagnostic, Span, SurgeryError, escape
from surgery.lang.expression import Call, EvaluationError, Name, evaluate
from surgery.lang.rule import Rule
from surgery.limits import exceeded, limits
from surgery.ops import OPS
from surgery.ops.arguments import places
from surgery.ops.base import Op, OpError, SomeOp
from surgery.ops.torch_names import TORCH_NAMES
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Computed, Stored, TensorExpr, Unread
from surgery.tensors.spec import format_bytes
from surgery.wording import counted

__all__ = ["Pipeline", "bind_arguments", "bind_operation", "bind_pipeline"]


#: the places of the arguments of an operation, by name
Places: TypeAlias = Mapping[str, Span | None]


class Pipeline:
    """Operations in order, with the places where they stand, and those of their arguments."""

    def __init__(self, operations: Sequence[tuple[Op, Span | None]], arguments: Sequence[Places] = ()) -> None:
        self.operations = tuple(operations)
        self._arguments = arguments or ({},) * len(self.operations)

    @property
    def ordered(self) -> bool:
        """Whether the order of gathered tensors matters to the first operation that sees them together."""
        joining = [op for op, _ in self.operations if op.arity != "each"]
        return joining[0].ordered if joining else True

    @property
    def fills(self) -> bool:
        """Whether missing members of a gathered group are filled: ``concat(missing='zeros')``."""
        return any(getattr(op, "missing", None) is not None for op, _ in self.operations)

    def __str__(self) -> str:
        return " | ".join(str(op) for op, _ in self.operations)

    def apply(self, inputs: tuple[TensorExpr, ...], outputs: int | None) -> tuple[TensorExpr, ...]:
        """The results of all operations; `outputs` is how many the right side names, None for as many as there are.

        Raises:
            SurgeryError: code ``operation``, at the operation that does not apply.
        """
        current = inputs
        for index, (op, span) in enumerate(self.operations):
            later = self.operations[index + 1 :]
            wanted = outputs if all(other.arity == "each" for other, _ in later) else None
            try:
                current = _apply(op, current, wanted)
            except OpError as error:
                place = self._arguments[index].get(error.argument or "", span)
                raise SurgeryError(error.diagnostic(place)) from error
            _check_size(current, span)
        if outputs is not None and len(current) != outputs:
            span = self.operations[-1][1] if self.operations else None
            message = f"{counted(len(current), 'tensor')} for {counted(outputs, 'key')} on the right side"
            note = "join them: `concat`, `stack`, `mean`" if outputs == 1 else "part it: `chunk`, `split`, `unstack`"
            raise SurgeryError(Diagnostic("operation", message, span, (note,)))
        return current


def _check_size(results: tuple[TensorExpr, ...], span: Span | None) -> None:
    largest = max((expr.spec.nbytes for expr in results if isinstance(expr, Computed)), default=0)
    if largest > limits().tensor:
        raise exceeded("tensor", f"this makes a tensor of {format_bytes(largest)}", span, needed=largest)


def _apply(op: Op, inputs: tuple[TensorExpr, ...], outputs: int | None) -> tuple[TensorExpr, ...]:
    if op.arity == "each":
        return tuple(_compute(op, (expr,), 1)[0] for expr in inputs)
    if op.arity == "split" and len(inputs) != 1:
        raise OpError(
            f"`{op.name}` takes one tensor, and {len(inputs)} are gathered",
            suggestion="join them first: `concat`, `stack`",
        )
    return _compute(op, inputs, 1 if op.arity == "join" else outputs)


def _compute(op: Op, inputs: tuple[TensorExpr, ...], outputs: int | None) -> tuple[TensorExpr, ...]:
    for expr in inputs:
        if expr.spec.dtype.kind == "opaque":
            name = f"`{escape(expr.key)}`" if isinstance(expr, Unread) else "one"
            raise OpError(
                f"`{op.name}` takes plain tensors, and {name} is {expr.spec}",
                suggestion="`rename` and `filter` take any; no operation does",
            )
    specs = op.infer(tuple(expr.spec for expr in inputs), outputs)
    stored = tuple(expr for expr in inputs if isinstance(expr, Stored))
    if len(stored) == len(inputs):
        ranges = op.rearrange(stored, len(specs))
        if ranges is not None:
            return ranges
    return tuple(Computed(spec, op, inputs, index, len(specs)) for index, spec in enumerate(specs))


def bind_pipeline(rule: Rule, operations: Sequence[Call | Name]) -> Pipeline:
    """The operations of a rule.

    Raises:
        SurgeryError: an unknown operation, or arguments that are not its own.
    """
    bound = [bind_operation(call, rule) for call in operations]
    spans = [rule.span_of(call.at) for call in operations]
    arguments = [_places(type(op), call, rule) for op, call in zip(bound, operations, strict=True)]
    return Pipeline(list(zip(bound, spans, strict=True)), arguments)


def bind_operation(expression: Call | Name, rule: Rule) -> Op:
    """One operation with its arguments.

    Raises:
        SurgeryError: codes ``unknown-operation`` and ``operation``.
    """
    span = rule.span_of(expression.at)
    cls = OPS.get(expression.name)
    if cls is None:
        here = TORCH_NAMES.get(expression.name)
        near = f"here it is `{here}`" if here else did_you_mean(expression.name, OPS)
        note = near or f"operations: {', '.join(OPS)}"
        message = f"there is no operation `{expression.name}`"
        raise SurgeryError(Diagnostic("unknown-operation", message, span, (note,)))
    return bind_arguments(cls, expression, rule)


def bind_arguments(cls: type[SomeOp], expression: Call | Name, rule: Rule) -> SomeOp:
    """The operation `cls` with the arguments of a call, in which names of dtypes stand bare.

    Raises:
        SurgeryError: code ``operation``; an argument has no value, or is not one of the operation's.
    """
    call = expression if isinstance(expression, Call) else Call(expression.name, at=expression.at)
    try:
        args = [evaluate(argument, DTYPES) for argument in call.args]
        return cls.bind(args, {name: evaluate(argument, DTYPES) for name, argument in call.kwargs})
    except EvaluationError as error:
        raise SurgeryError(Diagnostic("operation", str(error), rule.span_of(error.expression.at))) from error
    except OpError as error:
        if error.misnamed:
            at = next((value.at for name, value in call.kwargs if name == error.argument), call.at)
            span = rule.span_of_name(str(error.argument), at)
        else:
            span = _places(cls, call, rule).get(error.argument or "", rule.span_of(call.at))
        raise SurgeryError(error.diagnostic(span)) from error


def _places(cls: type[Op], call: Call | Name, rule: Rule) -> Places:
    """Where the arguments of a call stand; those that stand together for one name are one place."""
    if not isinstance(call, Call):
        return {}
    names = places(cls)
    found = {name: value.at for name, value in call.kwargs}
    for number, value in enumerate(call.args[: None if cls.variadic else len(names)]):
        name = cls.variadic or names[number]
        found[name] = (found[name][0] if cls.variadic and number else value.at[0], value.at[1])
    return {name: rule.span_of(at) for name, at in found.items()}
