"""Fan-out: how many results the right side of a rule names, and their keys."""

from __future__ import annotations

from itertools import product

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.lang.render import Filling, render
from surgery.lang.rule import KeyTarget, Rule
from surgery.lang.template import Hole, Mapped
from surgery.planning.gather import Gathered
from surgery.planning.shape import Shape

__all__ = ["Scatter"]


class Scatter:
    """The keys of the results of a rule.

    Raises (when made):
        SurgeryError: the right side does not say which key belongs to which result.
    """

    def __init__(self, rule: Rule, target: KeyTarget, shape: Shape) -> None:
        self._rule, self._target, self._shape = rule, target, shape
        if target.listed and (shape.scattered or shape.group_sizes):
            raise self._error("in a list on the right each result has a key of its own; an index there has no meaning")
        if len(shape.scattered) > 1:
            name = shape.scattered[1]
            raise self._error(f"`{{{name}}}` is a second index on the right only, and its size is open", name)

    @property
    def outputs(self) -> int | None:
        """How many results the right side names; None where an index leaves that to the operation."""
        if self._shape.scattered:
            return None
        return len(self._target.templates) * self._shape.per_index

    def keys(self, group: Gathered, count: int) -> list[str]:
        """The keys of `count` results, the left index of what is scattered over varying slowest.

        Raises:
            SurgeryError: code ``operation``; as many results do not go round.
            EvaluationError: the arithmetic of a template has no value.
        """
        filling, shape = group.filling, self._shape
        if self._target.listed:
            return [render(template, filling, group.rest) for template in self._target.templates]
        (template,) = self._target.templates
        if count % shape.per_index or not count:
            raise self._error(f"{count} results do not go into groups of {shape.per_index} keys")
        indices = [str(i) for i in range(count // shape.per_index)] if shape.scattered else [""]
        keys = []
        for index, groups in product(indices, product(*map(range, shape.group_sizes))):
            text = {**filling.text, **dict.fromkeys(shape.scattered, index)}
            chosen = filling.groups if shape.groups else groups
            filled = Filling(text, filling.numbers, filling.choices, filling.stars, chosen)
            keys.append(render(template, filled, group.rest))
        return keys

    def _error(self, message: str, name: str | None = None) -> SurgeryError:
        span = self._rule.span
        for template in self._target.templates:
            for part in template.parts():
                named = isinstance(part, Mapped) and part.name == name
                if named or (isinstance(part, Hole) and str(part.expression) == name):
                    span = self._rule.span_of(part.at)
        return SurgeryError(Diagnostic("operation", message, span))
