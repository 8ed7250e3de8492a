"""``create``: tensors and layers that were not there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import Diagnostic, SurgeryError, fail
from surgery.fields import main, rules
from surgery.lang.expression import Call
from surgery.lang.rule import Rule
from surgery.limits import exceeded, limits
from surgery.ops import OPS
from surgery.ops.base import Op, OpError
from surgery.ops.literal import LiteralTensor
from surgery.planning.context import Context
from surgery.planning.keys import KeyWriter
from surgery.planning.pipeline import bind_arguments
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.expr import Computed, Initial
from surgery.tensors.spec import Spec, format_bytes
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Create"]

_CONSTANT = ("zeros", "ones", "full")
_DRAWN = {"randn": "normal_", "rand": "uniform_"}


@STEPS.register("create")
@dataclass(frozen=True, slots=True)
class Create(Step):
    """Create tensors, and the tensors of layers, under keys that are not there yet.

    ``zeros(1, 768)``, ``ones(…)``, ``full(0.5, [1, 768])`` and ``tensor([0.485, 0.456])`` give values; ``randn(…)`` and
    ``rand(…)`` draw them from the recipe's seed and the key; a layer is initialised as in `replace_layer`. ``dtype=``
    may be given to all of them. `optional` before a rule: not if the key is there. A model becomes a bare state dict.
    """

    example: ClassVar[str] = 'create: "pos.bias -> zeros(1, 768), head -> Linear(768, 10)"'

    rules: tuple[Rule, ...] = main(rules("create"))

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with what was created at its end."""
        writer = KeyWriter(context, "create")
        for key, entry in subject.entries.items():
            writer.put(key, entry, key)
        for rule in self.rules:
            name = rule.left.literal
            if rule.optional and any(key == name or key.startswith(f"{name}.") for key in subject.entries):
                continue
            try:
                for key, entry in _created(name, rule, context):
                    writer.put(key, entry, str(rule.right), rule.span)
            except SurgeryError as error:
                context.diagnostics.extend(error.diagnostics)
        writer.finish()
        return subject.bare(writer.entries)


def _created(name: str, rule: Rule, context: Context) -> Iterator[tuple[str, Entry]]:
    """The new keys below `name`, with their entries."""
    expression, touch = rule.right, Touch("create", f"{name}: {rule.right}", rule.span)
    called = expression.name if isinstance(expression, Call) else ""
    if called not in (*_CONSTANT, *_DRAWN, "tensor"):
        yield from _layer(name, rule, context)
        return
    op = _operation(expression, rule)
    try:
        (spec,) = op.infer((), 1)
    except OpError as error:
        raise SurgeryError(error.diagnostic(rule.span_of(expression.at))) from error
    _check_size(spec, rule)
    if called in _DRAWN:
        yield name, Entry(_drawn(name, _DRAWN[called], spec, rule, context), (), (touch,))
    else:
        yield name, Entry(Computed(spec, op, ()), (), (touch,))


def _operation(call: Call, rule: Rule) -> Op:
    """The operation of a call; of what is drawn, `zeros` stands for its shape and dtype."""
    cls: type[Op] = LiteralTensor if call.name == "tensor" else OPS["zeros" if call.name in _DRAWN else call.name]
    return bind_arguments(cls, call, rule)


def _check_size(spec: Spec, rule: Rule) -> None:
    if spec.nbytes > limits().tensor:
        message = f"this takes {format_bytes(spec.nbytes)}"
        raise exceeded("tensor", message, rule.span_of(rule.right.at), needed=spec.nbytes)


def _drawn(name: str, function: str, spec: Spec, rule: Rule, context: Context) -> Initial:
    from surgery.model.initialisers import bind_initialiser, initial

    by_name = Rule(rule.left, Call(function, at=rule.right.at), source=rule.source)
    return initial(bind_initialiser(by_name), name, spec, context.seed, by_name, text=str(rule.right))


def _layer(name: str, rule: Rule, context: Context) -> Iterator[tuple[str, Entry]]:
    from surgery.lang.rule import Layer
    from surgery.model.replacing import OldLayer, new_layer

    by_layer = Rule(rule.left, Layer(rule.right), source=rule.source)
    try:
        made = new_layer(by_layer, OldLayer(name, None, {}, {}), context, step="create")
    except SurgeryError as error:
        raise SurgeryError(map(_with_tensors, error.diagnostics)) from error
    if not made.entries:
        message = f"`{rule.right}` has no tensors, so there is nothing to create"
        raise fail("layer-arguments", message, rule.span_of(rule.right.at))
    for below, entry in made.entries.items():
        yield f"{name}.{below}", entry


def _with_tensors(diagnostic: Diagnostic) -> Diagnostic:
    """Beside layers, tensors may be created: said where a name is neither."""
    if diagnostic.code != "unknown-layer":
        return diagnostic
    note = f"tensors are made by {', '.join((*_CONSTANT, 'tensor', *_DRAWN))}"
    return dataclasses.replace(diagnostic, notes=(*diagnostic.notes, note))
