"""Exceptions by name: what a selector allows to be missing, left over or different; and that it does happen."""

from __future__ import annotations

from collections.abc import Mapping

from surgery.lang import Selection
from surgery.lang.facts import Facts
from surgery.lang.pattern import TypeTest
from surgery.lang.selector import included_paths
from surgery.planning.context import Context
from surgery.planning.selecting import Choice, RuleSet

__all__ = ["Allowed"]


class Allowed:
    """A selection of keys for which something may happen that is an error otherwise.

    Ask :meth:`covers` where it does happen; :meth:`finish` reports every selector (every branch of a union) for none of
    whose keys it did, since an exception that never happens is a mistake in the recipe.
    """

    def __init__(
        self,
        selection: Selection | None,
        keys: Mapping[str, Facts],
        context: Context,
        *,
        what: str,
        types: TypeTest | None = None,
    ) -> None:
        """`what` says what would have to happen to a key: ``is missing from the checkpoint``."""
        self._context = context
        self._what = what
        self._selected: dict[str, list[int]] = {}
        self._matched: set[int] = set()
        self._happened: set[int] = set()
        self._rules: RuleSet | None = None
        if selection is None:
            return
        choices = [Choice(item, item.selector) for item in selection.items]
        self._rules = RuleSet(choices, list(keys), context, types=types)
        for key, facts in keys.items():
            for _, path, _ in self._rules.selecting(key, facts):
                self._selected.setdefault(key, []).append(id(path))
                self._matched.add(id(path))

    def covers(self, key: str) -> bool:
        """Whether it is allowed for this key, for which it happened."""
        paths = self._selected.get(key, [])
        self._happened.update(paths)
        return bool(paths)

    def finish(self) -> None:
        """Report what was allowed and never happened."""
        if self._rules is None:
            return
        self._rules.finish()
        for choice in self._rules.choices:
            if choice.optional:
                continue
            for path in included_paths(choice.selector):
                if id(path) in self._matched and id(path) not in self._happened:
                    message = f"`{path}` allows what does not happen: no key that it selects {self._what}"
                    note = "leave it out, or say `optional` before it"
                    self._context.report("unused-exception", message, choice.span_of(path.at), (note,))
