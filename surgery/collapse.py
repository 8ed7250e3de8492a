"""Many keys as few exact patterns: ``layers.{0-11}.attn.{1,3}.weight`` stands for these 24 keys and for no others.

Keys are put together where they are equal but for integers (a run of digits without leading zeros, wherever it stands)
and, where the caller says so, have the same label, such as a shape. A pattern is text and index sets in turn, and
stands for every combination of its indices, so that nothing is claimed of a key that was not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

__all__ = ["KeyPattern", "collapse", "format_indices", "split_indices"]

_INDEX = re.compile(r"(?<![0-9])(0|[1-9][0-9]{0,17})(?![0-9])")

#: one ascending set of integers for each index of a key
_Box: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """A set of keys that are equal but for their indices.

    Attributes:
        texts: the text around the indices; one more than there are indices.
        indices: for each index the integers that it takes, ascending.
        keys: the keys themselves, in the order in which they came.
    """

    texts: tuple[str, ...]
    indices: _Box
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def expand(self) -> Iterator[str]:
        """The keys that the pattern stands for, the last index varying fastest.

        >>> list(KeyPattern(("layer", ".", ""), ((1, 2), (0,)), ("layer1.0", "layer2.0")).expand())
        ['layer1.0', 'layer2.0']
        """
        for values in product(*self.indices):
            yield self.texts[0] + "".join(f"{v}{text}" for v, text in zip(values, self.texts[1:], strict=True))

    def __str__(self) -> str:
        pieces = [self.texts[0]]
        for values, text in zip(self.indices, self.texts[1:], strict=True):
            pieces += [format_indices(values), text]
        return "".join(pieces)


def format_indices(values: Sequence[int]) -> str:
    """A set of ascending integers: one as it is, several in braces, runs of three and more with a hyphen.

    >>> format_indices([4]), format_indices([0, 1]), format_indices([0, 1, 2, 5, 7, 8])
    ('4', '{0,1}', '{0-2,5,7,8}')
    """
    if len(values) == 1:
        return str(values[0])
    pieces: list[str] = []
    start = 0
    for end in range(1, len(values) + 1):
        if end < len(values) and values[end] == values[end - 1] + 1:
            continue
        run = values[start:end]
        pieces += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)
        start = end
    return f"{{{','.join(pieces)}}}"


def split_indices(key: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The text of a key around its indices, and the indices.

    >>> split_indices("layer4.02.conv1.weight")
    (('layer', '.02.conv', '.weight'), (4, 1))
    """
    pieces = _INDEX.split(key)
    return tuple(pieces[::2]), tuple(map(int, pieces[1::2]))


def collapse(keys: Iterable[str], *, by: Callable[[str], Hashable] | None = None) -> list[KeyPattern]:
    """The keys as patterns, in the order in which the first key of each came.

    Expanding all patterns gives exactly the keys, each once. Keys whose labels (``by(key)``) differ are never in one
    pattern. The time is linear in the number of keys.

    >>> [str(p) for p in collapse(["bn1.weight", "bn2.weight", "bn2.bias", "fc.bias"])]
    ['bn{1,2}.weight', 'bn2.bias', 'fc.bias']
    """
    families: dict[Hashable, dict[tuple[int, ...], tuple[int, str]]] = {}
    for place, key in enumerate(dict.fromkeys(keys)):
        texts, indices = split_indices(key)
        families.setdefault((texts, by(key) if by else None), {})[indices] = (place, key)
    found: list[tuple[int, KeyPattern]] = []
    for (texts, _), members in families.items():  # type: ignore[misc]
        for box, inside in _boxes(list(members)):
            placed = sorted(members[indices] for indices in inside)
            found.append((placed[0][0], KeyPattern(texts, box, tuple(key for _, key in placed))))
    return [pattern for _, pattern in sorted(found, key=lambda pair: pair[0])]


def _boxes(members: list[tuple[int, ...]]) -> list[tuple[_Box, list[tuple[int, ...]]]]:
    """Index tuples as disjoint products of sets, each with the tuples in it.

    Begin with each tuple by itself; then, axis by axis from the last to the first, unite what differs in that axis
    only. The last index is the innermost one, and most likely to be complete.
    """
    boxes: list[tuple[_Box, list[tuple[int, ...]]]] = [(tuple((i,) for i in member), [member]) for member in members]
    for axis in reversed(range(len(members[0]))):
        together: dict[Any, list[tuple[_Box, list[tuple[int, ...]]]]] = {}
        for box, inside in boxes:
            together.setdefault((box[:axis], box[axis + 1 :]), []).append((box, inside))
        boxes = [_united(axis, group) for group in together.values()]
    return boxes


def _united(axis: int, group: list[tuple[_Box, list[tuple[int, ...]]]]) -> tuple[_Box, list[tuple[int, ...]]]:
    first = group[0][0]
    values = tuple(sorted(value for box, _ in group for value in box[axis]))
    inside = [member for _, members in group for member in members]
    return (*first[:axis], values, *first[axis + 1 :]), inside
