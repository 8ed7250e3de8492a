"""Rules tried on keys, without a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from surgery.lang import parse_rules
from surgery.lang.facts import Facts
from surgery.lang.render import Filling, render, split_key
from surgery.lang.select import SelectorIndex
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec
from surgery.text import Text

__all__ = ["Trial"]

_SPEC = Spec((), DTYPES["float32"])


class Trial:
    """The rules of one step that gives new keys, none with a guard."""

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules = parse_rules(Text.plain("\n".join(rules)), "key")
        self._index = SelectorIndex([rule.left for rule in self._rules])

    def new_key(self, key: str) -> tuple[int | None, str]:
        """The number of the rule that takes `key`, and what becomes of it; None, where none does and it stays."""
        found = self._index.first(split_key(key), Facts(key, _SPEC, None))
        if found is None:
            return None, key
        number, path, match = found
        return number, render(self._rules[number].right.templates[0], Filling.of(match, path), match.rest)

    def wrong(self, mapping: Mapping[str, str]) -> dict[str, int | None]:
        """The keys of `mapping` that get another name than it says, each with the rule that takes it."""
        given = {old: self.new_key(old) for old in mapping}
        return {old: number for old, (number, new) in given.items() if number is None or new != mapping[old]}
