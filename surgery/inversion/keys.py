"""Keys in few words: selectors of just these keys, and rules that give just these keys to those."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from surgery.lang.path import Capture, Deep, Literal, Part, Path, Segment, Star

__all__ = ["covering", "moving", "path_of"]

#: subtrees that are told one by one
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
    """
    taboo = {prefix for other in others for prefix in _leading(other)}
    split = [tuple(other.split(".")) for other in others]
    found: dict[tuple[str | Part, ...], None] = {}
    for key in keys:
        if any(_takes(pattern, key.split(".")) for pattern in found):
            continue
        subtree = next((prefix for prefix in _leading(key) if prefix not in taboo), None)
        if subtree is not None:
            wide = tuple(Star() if segment.isdecimal() else segment for segment in subtree)
            found[subtree if any(_takes(wide, other) for other in split) else wide] = None
    ends = dict.fromkeys(key.rpartition(".")[2] for key in keys)
    if len(ends) < len(found) and not any(other[-1] in ends for other in split) and len(found) > _FEW:
        return [path_of((Deep(), end)) for end in ends]
    return [path_of(pattern) for pattern in found]


def _takes(pattern: Sequence[str | Part], key: Sequence[str]) -> bool:
    return len(key) >= len(pattern) and all(
        not isinstance(part, str) or part == segment for part, segment in zip(pattern, key, strict=False)
    )


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
    found: dict[tuple[Path, Path], None] = {}
    for old, new in pairs.items():
        left, right = old.split("."), new.split(".")
        while min(len(left), len(right)) > least and left[-1] == right[-1]:
            left.pop()
            right.pop()
        found[_general(left, right)] = None
    return sorted(found, key=lambda pair: -len(pair[0].segments))


def _general(left: list[str], right: list[str]) -> tuple[Path, Path]:
    """What differs of two keys as a rule, the indices that stand on both sides as captures."""
    if not left or not right:
        return path_of((*left, Deep())), path_of((*right, Deep()))
    names = iter("ijklmnrst")
    captured: dict[str, Capture] = {}
    for segment in left:
        if segment.isdecimal() and segment in right and left.count(segment) == right.count(segment) == 1:
            captured[segment] = Capture(next(names))
    pair = [path_of(captured.get(segment, segment) for segment in side) for side in (left, right)]
    return pair[0], pair[1]
