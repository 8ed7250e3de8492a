"""What two state dicts do not agree on, as one short table: missing, left over, of another shape or dtype."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from surgery.collapse import collapse
from surgery.subtrees import topmost
from surgery.tensors.spec import Spec, format_shape
from surgery.wording import counted

__all__ = ["Differences", "Row", "Words"]

#: how many rows all sections together may have
_ROWS = 9
#: how wide the column of keys may grow
_WIDEST = 56


@dataclass(frozen=True, slots=True)
class Words:
    """What the two sides are called: ``the model`` wants tensors, ``the checkpoint`` has them."""

    wanted: str = "the model"
    found: str = "the checkpoint"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a section: an exact pattern, what is said of its keys (shapes and dtypes), and how many there are."""

    pattern: str
    label: str
    count: int


@dataclass(slots=True)
class Differences:
    """What is wanted and what was found, key by key, and where they differ.

    Attributes:
        wanted, found: all keys of either side; None in the place of a specification says that it is no tensor.
        missing, unexpected: keys of `wanted` that were not found, keys of `found` that are not wanted.
        mismatched: keys of both, of another shape (or, where that counts, of another dtype).
    """

    wanted: Mapping[str, Spec | None]
    found: Mapping[str, Spec | None]
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)

    def totals(self) -> str:
        """The numbers in one line: ``2 of 62 keys missing, 1 left over``."""
        parts = []
        if self.missing:
            parts.append(f"{_of(self.missing, self.wanted)} missing")
        if self.unexpected:
            parts.append(f"{_of(self.unexpected, self.found)} left over")
        if self.mismatched:
            dtypes = any(self._shapes(key)[0] == self._shapes(key)[1] for key in self.mismatched)
            parts.append(f"{len(self.mismatched)} of another {'shape or dtype' if dtypes else 'shape'}")
        return ", ".join(parts)

    def sections(self, words: Words) -> list[str]:
        """The table: a note of several lines for each kind of difference that there is."""
        sections: list[tuple[str, list[Row]]] = []
        if self.missing:
            rows = _rows(self.missing, self.wanted, lambda key: _said(self.wanted[key]))
            sections.append((f"missing from {words.found}:", rows))
        if self.unexpected:
            rows = _rows(self.unexpected, self.found, lambda key: _said(self.found[key]))
            sections.append((f"left over in {words.found}:", rows))
        if self.mismatched:
            rows = _rows(self.mismatched, self.wanted, lambda key: self._both(key, words), whole=False)
            sections.append(("different:", rows))
        shares = _shares([len(rows) for _, rows in sections], _ROWS)
        return ["\n".join([title, *_lines(rows, share)]) for (title, rows), share in zip(sections, shares, strict=True)]

    def _shapes(self, key: str) -> tuple[object, object]:
        wanted, found = self.wanted[key], self.found[key]
        return wanted and wanted.shape, found and found.shape

    def _both(self, key: str, words: Words) -> str:
        wanted, found = self.wanted[key], self.found[key]
        if wanted is None or found is None or wanted.dtype != found.dtype:
            return f"{_said(found)} in {words.found}, {_said(wanted)} in {words.wanted}"
        return f"{format_shape(found.shape)} in {words.found}, {format_shape(wanted.shape)} in {words.wanted}"


def _of(some: Collection[str], everything: Collection[str]) -> str:
    whole = len(some) == len(everything) > 1
    return f"all {counted(len(some), 'key')}" if whole else f"{len(some):,} of {counted(len(everything), 'key')}"


def _said(spec: Spec | None) -> str:
    return "not a tensor" if spec is None else str(spec)


def _rows(
    found: Sequence[str], universe: Collection[str], label: Callable[[str], str], *, whole: bool = True
) -> list[Row]:
    """One row for each exact pattern; where those are too many, subtrees all of whose keys are among `found`."""
    patterns = collapse(found, by=label)
    rows = [Row(str(p), label(p.keys[0]), len(p)) for p in patterns]
    if len(rows) <= _ROWS // 2 or not whole:
        return rows
    tops, alone = topmost(found, universe)
    whole_rows = [_subtrees(str(p), sum(tops[prefix] for prefix in p.keys)) for p in collapse(tops)]
    return whole_rows + [Row(str(p), label(p.keys[0]), len(p)) for p in collapse(alone, by=label)]


def _subtrees(pattern: str, count: int) -> Row:
    return Row(f"{pattern}.**", f"all {counted(count, 'key')}", count)


def _shares(sizes: Sequence[int], rows: int) -> list[int]:
    """How many of `rows` each section gets: all it needs, or its part of what the smaller ones leave."""
    shares = [0] * len(sizes)
    left = rows
    for number, index in enumerate(sorted(range(len(sizes)), key=lambda i: sizes[i])):
        shares[index] = min(sizes[index], left // (len(sizes) - number))
        left -= shares[index]
    return shares


def _lines(rows: Sequence[Row], share: int) -> list[str]:
    # one row more costs as little as the line that says that it was left out
    share = share if len(rows) > share + 1 else len(rows)
    shown, hidden = rows[:share], rows[share:]
    width = min(_WIDEST, max(len(row.pattern) for row in shown))
    lines = [f"  {row.pattern:{width}}  {row.label}" for row in shown]
    if hidden:
        lines.append(f"  … and {len(hidden)} more patterns ({counted(sum(row.count for row in hidden), 'key')})")
    return lines
