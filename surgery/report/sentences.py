"""Many sentences about keys as few exact ones: ``layers.{8-23}.w -> tail.layers.{24-39}.w`` stands for 16 renames.

Where `surgery.collapse` puts keys together, this puts together what is said of several keys at once. Indices that go
side by side (equal, or a fixed distance apart) are one index. A sentence has parts, with an arrow, a comma or a line
end between them. Sets in different parts are read side by side, the first with the first; sets in one part (of a
sentence with none elsewhere) stand for all combinations, as in `surgery.collapse`. Where neither would be right,
indices are named: ``{i=0-3}``, then ``{i}`` or ``{i+1}``; and in a sentence with names, sets without one are free. So a
sentence stands for exactly those that it was made of.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from surgery.collapse import format_indices, split_indices

__all__ = ["Sentence", "collapse_sentences"]

_Vector: TypeAlias = tuple[int, ...]
_NAMES = "ijklmnpqrstuvwxyzabcdefgh"
_BETWEEN_PARTS = re.compile(r" -> |, |\n")


@dataclass(frozen=True, slots=True)
class Sentence:
    """What was said of several keys.

    Attributes:
        text: in few words.
        label: what all of them have in common beside the words.
        count: of how many sentences this is made.
    """

    text: str
    label: Hashable
    count: int


@dataclass(frozen=True, slots=True)
class _Box:
    """Vectors as a product. A position holds a number, or an index of `sets` and the distance from it."""

    places: tuple[int | tuple[int, int], ...]
    sets: tuple[tuple[int, ...], ...]


def collapse_sentences(said: Iterable[tuple[str, Hashable]]) -> list[Sentence]:
    """Sentences, each with its label, as few; in the order in which the first of each came.

    >>> moved = [(f"layers.{i}.w -> tail.layers.{i + 16}.w", None) for i in range(8, 24)]
    >>> [(s.text, s.count) for s in collapse_sentences(moved)]
    [('layers.{8-23}.w -> tail.layers.{24-39}.w', 16)]
    >>> swapped = [(f"a.{i}.{j} -> b.{j}.{i + 1}", None) for i in range(3) for j in range(3)]
    >>> collapse_sentences(swapped)[0].text
    'a.{i=0-2}.{j=0-2} -> b.{j}.{i+1}'
    """
    families: dict[Hashable, dict[_Vector, tuple[int, int]]] = {}
    for place, (text, label) in enumerate(said):
        texts, vector = split_indices(text)
        members = families.setdefault((texts, label), {})
        first, times = members.get(vector, (place, 0))
        members[vector] = (first, times + 1)
    found = []
    for (texts, label), members in families.items():  # type: ignore[misc]
        for box, inside in _boxes(list(members)):
            count = sum(members[vector][1] for vector in inside)
            found.append((min(members[v][0] for v in inside), Sentence(_print(texts, box), label, count)))
    return [sentence for _, sentence in sorted(found, key=lambda pair: pair[0])]


def _boxes(vectors: list[_Vector]) -> list[tuple[_Box, list[_Vector]]]:
    """Distinct vectors as disjoint boxes, each with the vectors in it."""
    classes = _classes(vectors)
    if not classes:
        return [(_Box(vectors[0], ()), vectors)]
    sets = tuple(tuple(sorted({vector[positions[0]] for vector in vectors})) for positions in classes)
    if prod(map(len, sets)) == len(vectors):
        return [(_box(vectors[0], classes, sets), vectors)]
    # not every combination is there: split along the index with the fewest values, then unite what is alike
    positions = classes[min(range(len(classes)), key=lambda number: len(sets[number]))]
    parts: dict[int, list[_Vector]] = {}
    for vector in vectors:
        parts.setdefault(vector[positions[0]], []).append(vector)
    alike: dict[_Box, list[tuple[_Box, list[_Vector]]]] = {}
    for value in sorted(parts):
        for box, inside in _boxes(parts[value]):
            alike.setdefault(_blanked(box, positions), []).append((box, inside))
    return [_united(group, positions) for group in alike.values()]


def _classes(vectors: Sequence[_Vector]) -> list[list[int]]:
    """The positions that vary, those at a fixed distance from each other together."""
    first = vectors[0]
    found: list[list[int]] = []
    for position in range(len(first)):
        if all(vector[position] == first[position] for vector in vectors):
            continue
        for positions in found:
            other = positions[0]
            if all(v[position] - v[other] == first[position] - first[other] for v in vectors):
                positions.append(position)
                break
        else:
            found.append([position])
    return found


def _box(first: _Vector, classes: Sequence[Sequence[int]], sets: tuple[tuple[int, ...], ...]) -> _Box:
    places: list[int | tuple[int, int]] = list(first)
    for number, positions in enumerate(classes):
        for position in positions:
            places[position] = (number, first[position] - first[positions[0]])
    return _Box(tuple(places), sets)


def _blanked(box: _Box, positions: Sequence[int]) -> _Box:
    return _Box(tuple(-1 if i in positions else place for i, place in enumerate(box.places)), box.sets)


def _united(group: Sequence[tuple[_Box, list[_Vector]]], positions: Sequence[int]) -> tuple[_Box, list[_Vector]]:
    """Boxes that differ in nothing but the numbers at `positions` as one."""
    box = group[0][0]
    inside = [vector for _, members in group for vector in members]
    if len(group) == 1:
        return box, inside
    values = tuple(sorted(vectors[0][positions[0]] for _, vectors in group))
    first = group[0][1][0]
    places = list(box.places)
    for position in positions:
        places[position] = (len(box.sets), first[position] - first[positions[0]])
    return _Box(tuple(places), (*box.sets, values)), inside


def _print(texts: Sequence[str], box: _Box) -> str:
    names = _named(texts, box)
    said: set[int] = set()
    pieces = [texts[0]]
    for place, text in zip(box.places, texts[1:], strict=True):
        pieces += [_index(place, box, names, said), text]
    return "".join(pieces)


def _named(texts: Sequence[str], box: _Box) -> dict[int, str]:
    """The indices that need a name, each with one."""
    part = 0
    uses: list[tuple[int, int]] = []
    for place, text in zip(box.places, texts, strict=False):
        part += len(_BETWEEN_PARTS.findall(text))
        if isinstance(place, tuple):
            uses.append((part, place[0]))
    several = len({part for part, _ in uses}) > 1
    if (len(box.sets) < 2 or not several) and len(set(uses)) == len(uses):
        return {}
    times = Counter(number for _, number in uses)
    shared = [number for number in times if times[number] > 1] or list(times)
    return dict(zip(shared, _NAMES, strict=False))


def _index(place: int | tuple[int, int], box: _Box, names: Mapping[int, str], said: set[int]) -> str:
    if isinstance(place, int):
        return str(place)
    number, distance = place
    name = names.get(number)
    values = format_indices([value + distance for value in box.sets[number]])
    if name is None:
        return values
    if number not in said:
        said.add(number)
        return f"{{{name}={values[1:-1]}}}"
    return f"{{{name}{distance:+d}}}" if distance else f"{{{name}}}"
