"""What the steps that give keys to tensors share: new keys of a rule, and collisions."""

from __future__ import annotations

from collections.abc import Sequence

from surgery.diagnostics import Diagnostic, Span
from surgery.lang.expression import EvaluationError
from surgery.lang.match import Match
from surgery.lang.path import Path
from surgery.lang.renaming import Renamer, renamer
from surgery.lang.render import Filling, render
from surgery.lang.rule import Rule
from surgery.planning.context import Context
from surgery.planning.failures import Failures
from surgery.tensors.subject import Entry
from surgery.wording import listed

__all__ = ["KeyWriter", "NewKeys", "evaluation_error", "unselected"]


class NewKeys:
    """The keys that a rule with one template gives; the common rule takes a short cut."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.template = rule.right.templates[0]
        self._short: Renamer | None = renamer(rule.left, self.template) if isinstance(rule.left, Path) else None

    def of(self, path: Path, match: Match) -> str:
        """The new key of the key that `path` matched.

        Raises:
            EvaluationError: the arithmetic of the template has no value for it.
        """
        if self._short is not None:
            return self._short(match.key)
        return render(self.template, Filling.of(match, path), match.rest)


class KeyWriter:
    """The entries that a step writes, one tensor to a key."""

    def __init__(self, context: Context, step: str) -> None:
        self.entries: dict[str, Entry] = {}
        self._writers: dict[str, tuple[str, Span | None]] = {}
        self._failures = Failures(context)
        self._step = step

    def put(self, key: str, entry: Entry, source: str, span: Span | None = None) -> None:
        """Write `entry`, which comes from the key (or the words) `source`, under `key`; a second one is an error."""
        if key in self.entries:
            self._collide(key, source, span)
        elif not key:
            self._failures.add(Diagnostic("key-collision", f"`{source}` would have an empty key", span))
        else:
            self.entries[key] = entry
            self._writers[key] = (source, span)

    def _collide(self, key: str, source: str, span: Span | None) -> None:
        other, other_span = self._writers[key]
        message = f"two tensors on the key `{key}`: `{other}` and `{source}`"
        notes: tuple[str, ...] = ()
        if span is None or other_span is None:
            notes = (f"`{key}` is there already and {'no rule moves it' if self._step != 'copy' else 'stays'}",)
        elif other_span != span:
            notes = (f"`{other}` comes by the rule at {other_span.place}",)
        self._failures.add(Diagnostic("key-collision", message, span or other_span, notes))

    def finish(self) -> None:
        """Report what was written twice."""
        self._failures.finish()


def evaluation_error(error: EvaluationError, rule: Rule, key: str) -> Diagnostic:
    """The error of the arithmetic in a template, for one key."""
    return Diagnostic("template", f"{error} (for the key `{key}`)", rule.span_of(error.expression.at))


def unselected(keys: Sequence[str], context: Context) -> None:
    """The error of ``rest: error``, at the step."""
    note = "`rest: error` asks for all keys"
    context.report("unselected-keys", f"no rule of this step selects {listed(keys, 5)}", notes=(note,))
