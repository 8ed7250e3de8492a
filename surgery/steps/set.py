"""``set``: attributes of modules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from surgery.diagnostics import Diagnostic
from surgery.fields import main, rules
from surgery.lang.expression import EvaluationError, Expression, Parameter, evaluate, walk
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.tensors.subject import Subject, Touch

__all__ = ["Set"]


@STEPS.register("set")
@dataclass(frozen=True, slots=True)
class Set(Step):
    """Set attributes of the selected modules: numbers, texts and the like that are there already.

    `**[Type]` selects the model itself too, where it is of that class. A rule ends at the line end. The new value is of
    the old one's type, or None, and one that the constructor of a layer of torch takes; what that makes of it follows
    (`head_dim` follows `num_heads`). What decides the shapes of tensors cannot be set, nor can tensors, modules and
    methods: `replace_layer`, `init` and `load` are for those, and `mode` for `training`.
    """

    example: ClassVar[str] = 'set: "**[BatchNorm2d] -> eps=1e-3, momentum=0.01"'
    needs_model: ClassVar[bool] = True
    keeps_tensors: ClassVar[bool] = True

    rules: tuple[Rule, ...] = main(rules("set"))

    def check(self) -> Iterable[Diagnostic]:
        """Values that are no literals."""
        for rule in self.rules:
            for _, expression in rule.right.pairs:
                if not any(isinstance(node, Parameter) for node in walk(expression)):
                    try:
                        evaluate(expression, {})
                    except EvaluationError as error:
                        yield Diagnostic("attribute", str(error), rule.span_of(error.expression.at))

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The model with the attributes set."""
        from surgery.model.attributes import AttributeProblem, set_attribute
        from surgery.model.modules import select_modules

        assert subject.skeleton is not None
        edited = subject.skeleton.edited()
        said: set[tuple[int, str]] = set()
        for one in select_modules(self.rules, subject, context, nested=True):
            rule = self.rules[one.rule]
            for name, expression in rule.right.pairs:
                try:
                    before = getattr(edited.modules[one.path], name, None)
                    set_attribute(edited.modules[one.path], name, _value(expression))
                    action = f"{one.path or 'the model'}: {name} {before!r} -> {_value(expression)!r}"
                    context.modules.append(Touch("set", action, rule.span))
                except AttributeProblem as problem:
                    if (one.rule, name) not in said:
                        said.add((one.rule, name))
                        notes = (problem.note,) if problem.note else ()
                        span = (
                            rule.span_of(expression.at) if problem.of_value else rule.span_of_name(name, expression.at)
                        )
                        where = f"`{one.path}`" if one.path else "the model"
                        context.report("attribute", f"{where}: {problem}", span, notes)
        return subject.replace(skeleton=edited)


def _value(expression: Expression) -> Any:
    return evaluate(expression, {})
