"""Why many rules of a step select nothing at once: the keys have a prefix more than the rules, or one less."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from surgery.lang.path import Path
from surgery.lang.pattern import Pattern
from surgery.lang.selector import Selector, included_paths

__all__ = ["prefix_hint"]

#: fewer idle rules are told one by one
FEW = 3
_DEEPEST = 3


def prefix_hint(selectors: Sequence[Selector], keys: Sequence[str]) -> str | None:
    """A note that says what would make nearly all of the selectors select something; None where nothing would.

    >>> from surgery.lang import parse_selector
    >>> from surgery.text import Text
    >>> rules = [parse_selector(Text.plain(text)).items[0].selector for text in ("conv1", "bn1", "fc")]
    >>> prefix_hint(rules, ["module.conv1.weight", "module.bn1.bias", "module.fc.bias"])
    'they select something below `module`: `rename: "module.** -> **"` in a step before'
    """
    if len(selectors) < FEW:
        return None
    firsts = [next(included_paths(selector)) for selector in selectors]
    split = [key.split(".") for key in keys]
    fitting: list[tuple[str, ...]] = []
    for prefix in _prefixes(split):
        below = [key[len(prefix) :] for key in split if tuple(key[: len(prefix)]) == prefix]
        if (not fitting or len(prefix) == len(fitting[0])) and _mostly(firsts, below):
            fitting.append(prefix)
    if fitting:
        shown = [".".join(prefix) for prefix in fitting]
        where = " or ".join(f"`{prefix}`" for prefix in shown[:3])
        return f'they select something below {where}: `rename: "{shown[0]}.** -> **"` in a step before'
    shared = _shared_literals(firsts)
    for length in range(1, len(shared) + 1):
        shorter = [dataclasses.replace(path, segments=path.segments[length:]) for path in firsts]
        if _mostly(shorter, split):
            lacking = ".".join(shared[:length])
            return f'the keys have no `{lacking}.`: `rename: "** -> {lacking}.**"` in a step before'
    return None


def _prefixes(keys: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The prefixes that at least a tenth of the keys begin with, shortest and most frequent first."""
    counts: Counter[tuple[str, ...]] = Counter()
    for key in keys:
        counts.update(tuple(key[:length]) for length in range(1, min(_DEEPEST, len(key) - 1) + 1))
    found = [prefix for prefix, count in counts.items() if count * 10 >= len(keys)]
    return sorted(found, key=lambda prefix: (len(prefix), -counts[prefix]))


def _shared_literals(paths: Sequence[Path]) -> list[str]:
    """The literal segments that all paths begin with; one segment at least is left of each."""
    rows = [
        list(takewhile(lambda text: text is not None, (Path((s,)).literal for s in path.segments[:-1])))
        for path in paths
    ]
    columns = zip(*rows, strict=False)  # as far as the shortest goes
    return [str(column[0]) for column in takewhile(lambda column: len(set(column)) == 1, columns)]


def _mostly(paths: Sequence[Path], keys: Sequence[Sequence[str]]) -> bool:
    """Whether nine of ten paths match some key; types are left out of it."""
    found = 0
    for path in paths:
        untyped = tuple(dataclasses.replace(segment, types=()) for segment in path.segments)
        pattern = Pattern(dataclasses.replace(path, segments=untyped))
        found += any(pattern.match(key) for key in keys)
    return found * 10 >= len(paths) * 9
