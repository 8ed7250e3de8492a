"""Keys in few words: selectors of just these keys, and rules that give just these keys to those."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from surgery.lang.path import Capture, Deep, Literal, Part, Path, Segment, Star

__all__ = ["covering", "moving", "path_of"]

#: subtrees that are told one by one, and indices that are put together
_FEW = 4


def path_of(segments: Iterable[str | Part]) -> Path:
    """A path whose segments are texts, or one part each."""
    return Path(tuple(Segment((Literal(s) if isinstance(s, str) else s,)) for s in segments))


def covering(keys: Sequence[str], others: Collection[str]) -> list[Path]:
    """Selectors that take all of `keys` and none of `others`: subtrees as high as they can be, indices put together.

    Where that would be many, and the keys are told by how they end, they are: `**.num_batches_tracked`. A key below
    which there is one of `others` is none that can be taken alone, and is left out.

    >>> [str(path) for path in covering(["a.0.x.w", "a.1.x.w", "b.w"], ["a.0.y"])]
    ['a.*.x', 'b']
    >>> [str(path) for path in covering(["a.0.2", "a.1.2", "a.2.2"], ["a.0.1", "a.1.3"])]
    ['a.*.2']
    """
    there = _Prefixes(others)
    found = _Patterns()
    for key in keys:
        if found.take(key):
            continue
        subtree = next((prefix for prefix in _leading(key) if not there.any_under(prefix)), None)
        if subtree is not None:
            found.add(next(pattern for pattern in _widened(subtree) if not there.any_under(pattern)))
    ends = dict.fromkeys(key.rpartition(".")[2] for key in keys)
    if _FEW < len(found.patterns) > len(ends) and not any(other.rpartition(".")[2] in ends for other in others):
        return [path_of((Deep(), end)) for end in ends]
    return [path_of(pattern) for pattern in found.patterns]


def _widened(subtree: tuple[str, ...]) -> Iterator[tuple[str | Part, ...]]:
    """The subtree with stars for its indices: for all of them, for fewer and fewer, for none."""
    indices = [place for place, segment in enumerate(subtree) if segment.isdecimal()][:_FEW]
    for count in range(len(indices), -1, -1):
        for places in combinations(indices, count):
            yield tuple(Star() if place in places else segment for place, segment in enumerate(subtree))


def _blanked(key: Sequence[str | Part], at: Collection[int]) -> tuple[str | Part | None, ...]:
    return tuple(None if place in at else segment for place, segment in enumerate(key))


def _stars(pattern: Sequence[str | Part]) -> tuple[int, ...]:
    return tuple(place for place, part in enumerate(pattern) if not isinstance(part, str))


class _Prefixes:
    """The leading parts of some keys, looked up with some of their segments left open."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = [tuple(key.split(".")) for key in keys]
        self._known: dict[tuple[tuple[int, ...], int], set[tuple[str | Part | None, ...]]] = {}

    def any_under(self, pattern: Sequence[str | Part]) -> bool:
        """Whether a pattern takes a key, or something above one."""
        kind = (_stars(pattern), len(pattern))
        if kind not in self._known:
            stars, length = kind
            self._known[kind] = {_blanked(key[:length], stars) for key in self._keys if len(key) >= length}
        return _blanked(pattern, kind[0]) in self._known[kind]


class _Patterns:
    """Patterns, and whether one of them takes a key."""

    def __init__(self) -> None:
        self.patterns: dict[tuple[str | Part, ...], None] = {}
        self._known: dict[tuple[tuple[int, ...], int], set[tuple[str | Part | None, ...]]] = {}

    def add(self, pattern: tuple[str | Part, ...]) -> None:
        stars = _stars(pattern)
        self.patterns[pattern] = None
        self._known.setdefault((stars, len(pattern)), set()).add(_blanked(pattern, stars))

    def take(self, key: str) -> bool:
        segments = tuple(key.split("."))
        return any(_blanked(segments[:length], stars) in known for (stars, length), known in self._known.items())


def _leading(key: str) -> Iterable[tuple[str, ...]]:
    """The leading parts of a key, shortest first, the key itself last."""
    segments = tuple(key.split("."))
    return (segments[:length] for length in range(1, len(segments) + 1))


def moving(pairs: Mapping[str, str], *, least: int = 0) -> list[tuple[Path, Path]]:
    """Rules, as pairs of paths, that move each key to the one that it is mapped to: subtrees, indices put together.

    They are as wide as the names allow, but name `least` segments on both sides; whether they take other keys too has
    to be seen. What lies deeper comes first.

    >>> [f"{left} -> {right}" for left, right in moving({"f.0.w": "m.f.0.w", "f.1.w": "m.f.1.w"})]
    ['** -> m.**']
    >>> [f"{left} -> {right}" for left, right in moving({"a.0.x.w": "b.0.y.w", "a.1.x.w": "b.1.y.w", "c": "d"})]
    ['a.{i}.x -> b.{i}.y', 'c -> d']
    """
    found: dict[tuple[Path, Path], dict[tuple[Path, Path], None]] = {}
    for old, new in pairs.items():
        left, right = old.split("."), new.split(".")
        while min(len(left), len(right)) > least and left[-1] == right[-1]:
            left.pop()
            right.pop()
        rule = _rule(left, right, _shared(left, right))
        found.setdefault(rule, {})[_rule(left, right, {})] = None
    # an index that both sides have just once may be there by chance
    rules = [rule if len(cases) > 1 else next(iter(cases)) for rule, cases in found.items()]
    return sorted(rules, key=lambda rule: -len(rule[0].segments))


def _shared(left: list[str], right: list[str]) -> dict[str, Capture]:
    """The indices that stand once on both sides, as captures."""
    names = iter("ijklmnrst")
    once = (segment for segment in left if left.count(segment) == right.count(segment) == 1)
    return {segment: Capture(next(names)) for segment in once if segment.isdecimal()}


def _rule(left: list[str], right: list[str], captured: Mapping[str, Capture]) -> tuple[Path, Path]:
    """Two leading parts of keys as a rule; where one is empty, it is everything that changes."""
    rest = () if left and right else (Deep(),)
    one, other = (path_of((*(captured.get(s, s) for s in side), *rest)) for side in (left, right))
    return one, other
