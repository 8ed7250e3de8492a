"""One rule that computes: what it takes, how that is gathered, computed, and scattered to new keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from surgery.collapse import collapse
from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.lang.bind import parameters
from surgery.lang.expression import EvaluationError
from surgery.lang.rule import KeyTarget, Rule
from surgery.lang.selector import included_paths
from surgery.ops.base import OpError
from surgery.ops.full import Zeros
from surgery.planning.assign import selectors_of
from surgery.planning.context import Context
from surgery.planning.failures import Failures
from surgery.planning.gather import Gathered, GatherError, Taken, gather, is_gathered
from surgery.planning.join import join, shared_captures
from surgery.planning.keys import NewKeys, evaluation_error
from surgery.planning.pipeline import Pipeline, bind_pipeline
from surgery.planning.scatter import Scatter
from surgery.planning.shape import Shape
from surgery.tensors.expr import Computed, TensorExpr, detach
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Touch
from surgery.wording import listed

__all__ = ["Conversion", "Made", "Move", "check_conversion"]


@dataclass(frozen=True, slots=True)
class Made:
    """A new tensor: its key, its entry, and the keys that it was made of."""

    key: str
    entry: Entry
    sources: tuple[str, ...]


class Move:
    """A rule without operations at work: each key it takes gets a new one."""

    def __init__(self, rule: Rule, failures: Failures, *, step: str) -> None:
        self.rule = rule
        self._span = rule.span
        self._new_keys = NewKeys(rule)
        self._failures = failures
        self._step = step

    def results(self, taken: Sequence[Sequence[Taken]], entries: Mapping[str, Entry]) -> Iterator[Made]:
        """The tensors under their new keys."""
        for one in taken[0]:
            try:
                new = self._new_keys.of(one.path, one.match)
            except EvaluationError as error:
                self._failures.add(evaluation_error(error, self.rule, one.key))
                continue
            entry = entries[one.key]
            if new != one.key:
                entry = entry.touched(Touch(self._step, f"{one.key} -> {new}", self._span))
            yield Made(new, entry, (one.key,))


class Conversion:
    """A rule with operations, a join or a list of results at work.

    Raises (when made):
        SurgeryError: the operations are unknown or wrongly called, or the results have no keys.
    """

    def __init__(self, rule: Rule, failures: Failures, *, step: str) -> None:
        assert isinstance(rule.right, KeyTarget)
        self.rule = rule
        self._failures = failures
        self._step = step
        self._span = rule.span
        self._pipeline = bind_pipeline(rule, rule.right.operations)
        self._via = f" via {self._pipeline}" if self._pipeline.operations else ""
        left = [list(included_paths(selector)) for selector in selectors_of(rule)]
        self._shape = Shape.of(left, rule.right.templates)
        self._shared = shared_captures(left)
        self._scatter = Scatter(rule, rule.right, self._shape)
        self._made: dict[tuple[int | None, ...], tuple[TensorExpr, ...]] = {}
        #: the keys that found their groups, whatever came of it
        self.gathered: set[str] = set()

    def results(
        self, taken: Sequence[Sequence[Taken]], entries: Mapping[str, Entry], context: Context
    ) -> Iterator[Made]:
        """The new tensors, of what each selector took. Errors go to the failures, warnings to the context."""

        def warn(message: str, at: tuple[int, int]) -> None:
            context.report("incomplete-group", message, self.rule.span_of(at), warning=True)

        ordered, fills = self._pipeline.ordered, self._pipeline.fills
        shapes = [self._shape, *(self._shape.of_partner() for _ in self._shared)]
        try:
            gathered = [
                gather(some, shape, ordered=ordered, fills=fills, warn=warn)
                for some, shape in zip(taken, shapes, strict=True)
            ]
        except GatherError as error:
            span = self.rule.span_of(error.at) if error.at else self.rule.span
            notes = (error.note,) if error.note else ()
            self._failures.add(Diagnostic("incomplete-group", str(error), span, notes))
            # that is said of them, and not that they have no partners
            self.gathered.update(item.key for some in taken for item in some)
            return
        self._warn_alone(taken, context)
        for group in join(gathered, self._shared):
            self.gathered.update(group.keys)
            yield from self._convert(group, entries)

    def _warn_alone(self, taken: Sequence[Sequence[Taken]], context: Context) -> None:
        """Warn where an operation joins tensors and the rule gathers none: it gets one tensor each time."""
        op, span = next(((op, span) for op, span in self._pipeline.operations if op.arity != "each"), (None, None))
        if op is None or op.arity != "join" or len(taken) > 1 or not taken[0]:
            return
        if not any(is_gathered(one, self._shape) for one in taken[0]):
            note = "what stands on the left only is gathered over: `(a|b).{key:**} -> {key}`"
            message = f"`{op}` gets one tensor each time, and joins nothing"
            context.report("incomplete-group", message, span, (note,), warning=True)

    def _convert(self, group: Gathered, entries: Mapping[str, Entry]) -> Iterator[Made]:
        sources = tuple(dict.fromkeys(group.keys))
        try:
            results = self._compute(group, entries)
            keys = self._scatter.keys(group, len(results))
        except SurgeryError as error:
            self._failures.add(_explained(error.diagnostics[0], self.rule, sources, entries))
            return
        except EvaluationError as error:
            self._failures.add(evaluation_error(error, self.rule, sources[0]))
            return
        first = entries[sources[0]]
        origins = tuple(dict.fromkeys(origin for key in sources for origin in entries[key].origins))
        trail = tuple(dict.fromkeys(touch for key in sources for touch in entries[key].trail))
        inputs = self._inputs(group, sources, entries)
        computes = bool(self._pipeline.operations)
        together = ", ".join([*_short(sources), *(["zeros"] if None in group.members else [])])
        for key, expr in zip(keys, results, strict=True):
            action = f"{together} -> {key}{self._via}"
            touch = Touch(self._step, action, self._span, computes=computes, inputs=inputs, spec=expr.spec)
            entry = Entry(expr, origins, (*trail, touch), first.kind, first.requires_grad, first.device)
            yield Made(key, entry, sources)

    def _inputs(self, group: Gathered, sources: Sequence[str], entries: Mapping[str, Entry]) -> tuple[Spec, ...]:
        """What goes in: the tensors of the group, each once, or with the zeros in the place of those missing."""
        if None not in group.members:
            return tuple(entries[key].spec for key in sources)
        members = [None if member is None else entries[member.key].expr for member in group.members]
        return tuple(expr.spec for expr in _filled(members, self._pipeline))

    def _compute(self, group: Gathered, entries: Mapping[str, Entry]) -> tuple[TensorExpr, ...]:
        """The results of a group. What is made of one tensor under two tied keys is one result: ties stay."""
        members = [None if member is None else entries[member.key].expr for member in group.members]
        alike = tuple(None if expr is None else id(expr) for expr in members)
        if alike not in self._made:
            inputs = _filled(members, self._pipeline)
            results = self._pipeline.apply(inputs, self._scatter.outputs)
            if self._step == "copy":
                results = tuple(detach(r) if any(r is i for i in inputs) else r for r in results)
            self._made[alike] = results
        return self._made[alike]


def _filled(members: Sequence[TensorExpr | None], pipeline: Pipeline) -> tuple[TensorExpr, ...]:
    """The members of a group, zeros in the place of those that are missing.

    Raises:
        SurgeryError: code ``operation``; the shape of what is missing cannot be told.
    """
    if all(member is not None for member in members):
        return tuple(member for member in members if member is not None)
    op, span = next((op, span) for op, span in pipeline.operations if hasattr(op, "fill"))
    try:
        specs = op.fill(tuple(member.spec if member is not None else None for member in members))
    except OpError as error:
        raise SurgeryError(error.diagnostic(span)) from error
    return tuple(
        Computed(spec, Zeros(spec.shape, spec.dtype), ()) if member is None else member
        for member, spec in zip(members, specs, strict=True)
    )


def _explained(diagnostic: Diagnostic, rule: Rule, sources: Sequence[str], entries: Mapping[str, Entry]) -> Diagnostic:
    """The error of a group, with the tensors that are in it."""
    tensors = (f"`{key}` {entries[key].spec}" for key in sources)
    notes = (*diagnostic.notes, f"for {listed(tensors, 4, mark='')}")
    return Diagnostic(diagnostic.code, diagnostic.message, diagnostic.span or rule.span, notes)


def _short(keys: Sequence[str]) -> list[str]:
    """Keys that differ in one segment as a group, ``attn.(q|k|v).weight``; else a few as they are, many as patterns."""
    if len(keys) <= 4:
        return _as_group(keys) or list(keys)
    patterns = list(map(str, collapse(keys)))
    return [*patterns[:4], f"… ({len(keys)} tensors)"] if len(patterns) > 4 else patterns


def _as_group(keys: Sequence[str]) -> list[str]:
    """Keys as one selector with a group, in order; none where they differ in more than one segment, or in an index."""
    columns = list(zip(*(key.split(".") for key in keys), strict=False))
    differing = [number for number, column in enumerate(columns) if len(set(column)) > 1]
    if len({key.count(".") for key in keys}) > 1 or len(differing) != 1:
        return []
    (at,) = differing
    if any(segment.isdecimal() for segment in columns[at]):
        return []
    segments = [column[0] for column in columns]
    return [".".join((*segments[:at], f"({'|'.join(columns[at])})", *segments[at + 1 :]))]


def check_conversion(rule: Rule) -> list[Diagnostic]:
    """What can be said against the operations and the results of a rule before any key is known.

    What depends on a parameter without a value is left open.
    """
    if any(True for _ in parameters(rule.right)):
        return []
    try:
        bind_pipeline(rule, rule.right.operations)
        left = [list(included_paths(selector)) for selector in selectors_of(rule)]
        Scatter(rule, rule.right, Shape.of(left, rule.right.templates))
    except SurgeryError as error:
        return list(error.diagnostics)
    return []
