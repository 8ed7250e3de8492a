"""A rule with operations backwards: which operations undo its own, by what it did to the tensors of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from surgery.diagnostics import Diagnostic, SurgeryError, fail
from surgery.inversion.drafts import Draft
from surgery.inversion.mirror import Mirrored
from surgery.inversion.operations import Application, applications, together, why_none, written
from surgery.inversion.telling import told_apart
from surgery.lang.rule import Rule
from surgery.ops.base import Op
from surgery.planning.pipeline import Pipeline, bind_pipeline
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import Spec

__all__ = ["computing_drafts"]

#: an inverse for each operation of a rule
_Chain: TypeAlias = tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule with operations.

    Attributes:
        open: the rule, its parameters open.
        pipeline: its operations, bound.
        counting: whether the inverse has to say how many results there are: its keys count them with an index.
        uses: what each operation was applied to.
    """

    open: Rule
    pipeline: Pipeline
    counting: bool
    uses: dict[int, list[Application]] = field(default_factory=dict)

    def chain(self, key: str, expr: TensorExpr) -> _Chain:
        """What undoes the operations that made one tensor.

        Raises:
            SurgeryError: nothing does.
        """
        found = list(applications(expr, len(self.pipeline.operations)))
        chain: list[Op] = []
        for place, (op, span) in enumerate(self.pipeline.operations):
            here = [one for one in found if one.place == place]
            inverses = list(dict.fromkeys(one.inverse(counting=self.counting) for one in here))
            if len(inverses) != 1 or inverses[0] is None:
                why = why_none(op, self.open.right.operations[place])
                message = why if None in inverses else f"`{op}` is undone in several ways for one result"
                raise fail("no-inverse", message, span, (f"for `{key}`",))
            self.uses.setdefault(place, []).extend(here)
            chain.append(inverses[0])
        return tuple(chain)

    def via(self, chain: _Chain, *, only: bool) -> str:
        """The inverses as text; `only` says that they undo all that the rule did."""
        texts = []
        for place, inverse in enumerate(chain):
            uses = self.uses.get(place, ())
            shapes = [one.outputs[0] for one in uses if only or one.inverse(counting=self.counting) == inverse]
            texts.append(self._text(place, inverse, shapes))
        return " | ".join(reversed(texts))

    def via_anywhere(self) -> str | None:
        """The inverses as text, whatever the shapes; None where they depend on them."""
        inverses = [op.inverse_anywhere() for op, _ in self.pipeline.operations]
        if None in inverses:
            return None
        texts = [self._text(place, inverse, ()) for place, inverse in enumerate(inverses) if inverse is not None]
        return " | ".join(reversed(texts))

    def _text(self, place: int, inverse: Op, shapes: Sequence[Spec]) -> str:
        return written(inverse, self.pipeline.operations[place][0], self.open.right.operations[place], shapes)


def computing_drafts(
    number: int, rule: Rule, bound: Rule, mirror: Mirrored, made: Mapping[str, TensorExpr]
) -> Iterator[Draft | Diagnostic]:
    """The rules that take back a rule with operations: one, or one for each shape that needs its own; or why none do.

    Args:
        number: the place of the rule in its step.
        rule: the rule, its parameters open.
        bound: the same, bound.
        mirror: the rule in the mirror.
        made: what it made, by key.
    """
    work = _Rule(rule, bind_pipeline(bound, bound.right.operations), _counts(mirror))
    if not made:
        via = work.via_anywhere()
        if via is not None:
            yield Draft(number, mirror, via, optional=True)
        return
    chains: dict[_Chain, list[str]] = {}
    try:
        for key, expr in made.items():
            chains.setdefault(work.chain(key, expr), []).append(key)
    except SurgeryError as error:
        yield error.diagnostics[0]
        return
    columns = [together([chain[place] for chain in chains]) for place in range(len(work.pipeline.operations))]
    if None not in columns:
        chains = {tuple(op for op in columns if op is not None): list(made)}
    conditions = told_apart([[made[key].spec for key in keys] for keys in chains.values()])
    if conditions is None:
        message = f"this is undone in {len(chains)} ways, and no shape tells which"
        yield Diagnostic("no-inverse", message, rule.span, (f"`{next(iter(made))}` is the first",))
        return
    for chain, condition in zip(chains, conditions, strict=True):
        via = work.via(chain, only=len(chains) == 1)
        yield Draft(number, mirror.narrowed(condition=condition), via, rule.optional)


def _counts(mirror: Mirrored) -> bool:
    """Whether an index on the right side only leaves it to the operations how many results there are."""
    given = {capture.name for path in mirror.paths for capture in path.captures()}
    return any(name not in given for template in mirror.templates for name in template.names())
