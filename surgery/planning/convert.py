"""One rule of ``convert``: what it takes, how that is gathered, computed, and scattered to new keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from surgery.diagnostics import Diagnostic, SurgeryError
from surgery.lang.expression import EvaluationError
from surgery.lang.path import Path
from surgery.lang.render import Filling, render
from surgery.lang.rule import Join, KeyTarget, Rule
from surgery.lang.selector import Guarded, Selector, included_paths
from surgery.ops.full import Zeros
from surgery.planning.context import Context
from surgery.planning.gather import Gathered, GatherError, Shape, Taken, gather
from surgery.planning.keys import report_evaluation
from surgery.planning.pipeline import bind_pipeline
from surgery.planning.selecting import Choice, RuleSet, facts_of, type_test
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.subject import Entry, Subject, Touch

__all__ = ["Conversion"]


class Conversion:
    """A rule with operations, at work on the keys of a subject.

    Raises (when made):
        SurgeryError: the operations are unknown or wrongly called.
    """

    def __init__(self, rule: Rule, subject: Subject, context: Context, *, step: str) -> None:
        assert isinstance(rule.right, KeyTarget)
        self.rule = rule
        self.target = rule.right
        self.taken_keys: set[str] = set()
        self._context = context
        self._step = step
        self._span = rule.span
        self.pipeline = bind_pipeline(rule, rule.right.operations)
        self._selectors = _selectors(rule)
        paths = [path for selector in self._selectors for path in included_paths(selector)]
        self._shape = Shape.of(paths, rule.right.templates)
        self._joined = isinstance(rule.left, Join)
        choices = [Choice(rule, selector) for selector in self._selectors]
        self._rules = RuleSet(choices, list(subject.entries), context, types=type_test(subject))
        self._failures = 0

    def results(self, entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry, list[str]]]:
        """The new tensors: key, entry, and the keys each was made of. Errors go to the context."""
        per_selector: list[list[Taken]] = [[] for _ in self._selectors]
        for key, entry in entries.items():
            for number, path, match in self._rules.selecting(key, facts_of(key, entry)):
                per_selector[number].append(Taken(key, path, match, number))
        try:
            groups = self._groups(per_selector)
        except GatherError as error:
            notes = (error.note,) if error.note else ()
            self._context.report("incomplete-group", str(error), self._span, notes)
            return
        for group in groups:
            self.taken_keys.update(group.keys)
            yield from self._convert(group, entries)
        if self._failures > 1:
            self._context.remarks.append(f"{self._failures - 1} more like the error at {self._span}")

    def finish(self) -> None:
        """Report selectors that took nothing."""
        self._rules.finish()

    def _groups(self, per_selector: Sequence[Sequence[Taken]]) -> list[Gathered]:
        ordered, fills = self.pipeline.ordered, self.pipeline.fills
        gathered = [gather(taken, self._shape, ordered=ordered, fills=fills) for taken in per_selector]
        if not self._joined:
            return gathered[0]
        return _joined(gathered, self._shape, per_selector)

    def _convert(self, group: Gathered, entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry, list[str]]]:
        sources = group.keys
        try:
            outputs = self._outputs()
            results = self.pipeline.apply(self._inputs(group, entries), outputs)
            keys = self._keys(group, len(results))
        except SurgeryError as error:
            self._failures += 1
            if self._failures == 1:
                self._report(error.diagnostics[0], sources, entries)
            return
        except EvaluationError as error:
            report_evaluation(error, self.rule, sources[0], self._context)
            return
        first = entries[sources[0]]
        origins = tuple(dict.fromkeys(origin for key in sources for origin in entries[key].origins))
        trail = tuple(dict.fromkeys(touch for key in sources for touch in entries[key].trail))
        inputs = tuple(entries[key].spec for key in sources)
        for key, expr in zip(keys, results, strict=True):
            action = f"{', '.join(_short(sources))} -> {key} via {self.pipeline}"
            touch = Touch(self._step, action, self._span, computes=True, inputs=inputs, spec=expr.spec)
            yield key, Entry(expr, origins, (*trail, touch), first.kind, first.requires_grad), sources

    def _report(self, diagnostic: Diagnostic, sources: list[str], entries: Mapping[str, Entry]) -> None:
        shapes = [f"`{key}` {entries[key].spec}" for key in sources[:4]]
        more = f" and {len(sources) - 4} more" if len(sources) > 4 else ""
        notes = (*diagnostic.notes, f"for {', '.join(shapes)}{more}")
        self._context.report(diagnostic.code, diagnostic.message, diagnostic.span or self._span, notes)

    def _inputs(self, group: Gathered, entries: Mapping[str, Entry]) -> tuple[TensorExpr, ...]:
        present = [entries[key].expr for key in group.keys]
        inputs = []
        for member in group.members:
            if member is not None:
                inputs.append(entries[member.key].expr)
            else:
                inputs.append(Computed(present[0].spec, Zeros(), (present[0],)))
        return tuple(inputs)

    def _outputs(self) -> int | None:
        if self._shape.scattered:
            return None
        count = len(self.target.templates)
        for size in self._shape.group_sizes:
            count *= size
        return count

    def _keys(self, group: Gathered, count: int) -> list[str]:
        """The keys of the results, the left index of what is scattered varying slowest."""
        filling = group.filling
        if self.target.listed:
            return [render(template, filling, group.rest) for template in self.target.templates]
        template, shape = self.target.templates[0], self._shape
        if len(shape.scattered) > 1:
            message = f"`{{{shape.scattered[1]}}}` is a second index on the right only: its size is open"
            raise SurgeryError(Diagnostic("operation", message, self._span))
        per_index = 1
        for size in shape.group_sizes:
            per_index *= size
        indices = [str(i) for i in range(count // per_index)] if shape.scattered else [""]
        keys = []
        for index, groups in product(indices, product(*map(range, shape.group_sizes))):
            text = {**filling.text, **dict.fromkeys(shape.scattered, index)}
            chosen = filling.groups if shape.groups else groups
            filled = Filling(text, filling.numbers, filling.choices, filling.stars, chosen)
            keys.append(render(template, filled, group.rest))
        return keys


def _selectors(rule: Rule) -> tuple[Selector, ...]:
    if not isinstance(rule.left, Join):
        return (rule.left,)
    if rule.left.condition is None:
        return rule.left.selectors
    first, *others = rule.left.selectors
    return (Guarded(first, rule.left.condition), *others)


def _short(keys: Sequence[str]) -> list[str]:
    return [*keys[:4], f"… ({len(keys)} tensors)"] if len(keys) > 4 else list(keys)


def _joined(gathered: list[list[Gathered]], shape: Shape, per_selector: Sequence[Sequence[Taken]]) -> list[Gathered]:
    """Groups of the first selector with their partners; groups without partners are left alone."""
    paths = [taken[0].path if taken else None for taken in per_selector]
    rows = gathered[0]
    for number in range(1, len(gathered)):
        shared = _shared(paths[:number], paths[number])
        partners = {_join_key(group, shared): group for group in gathered[number]}
        joined = []
        for row in rows:
            partner = partners.get(_join_key(row, shared))
            if partner is not None:
                text = {**partner.filling.text, **row.filling.text}
                numbers = {**partner.filling.numbers, **row.filling.numbers}
                choices = {**partner.filling.choices, **row.filling.choices}
                filling = Filling(text, numbers, choices, row.filling.stars, row.filling.groups)
                joined.append(Gathered(filling, row.rest, [*row.members, *partner.members]))
        rows = joined
    return rows


def _shared(before: Sequence[Path | None], path: Path | None) -> tuple[str, ...]:
    names = {capture.name for other in before if other for capture in other.captures()}
    return tuple(sorted(names & {capture.name for capture in path.captures()})) if path else ()


def _join_key(group: Gathered, shared: tuple[str, ...]) -> tuple[object, ...]:
    return (*(group.filling.text.get(name) for name in shared), group.rest)
