"""Which keys a path can select, as a language: whether two paths can select one key, and whether one can in two ways.

A path is a small automaton over characters, the dot among them; a selector selects what lies below as well, so that
anything may follow behind a dot. Both questions are searches through pairs of states, and exact: all characters that
stand in neither path are alike, and so are all digits that stand in neither.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from surgery.lang.path import Alternative, Capture, Deep, Group, Literal, ParameterText, Part, Path, Star

__all__ = ["Language", "ambiguous", "meet"]

#: what a step of an automaton reads: one character, or a class of them
_Label: TypeAlias = str
_DIGIT, _INSIDE, _ANY = "a digit", "not a dot", "anything"


@dataclass(slots=True)
class Language:
    """An automaton.

    Attributes:
        steps: for each state, what is read on the way to which state; an empty label reads nothing.
        marks: the states at which a part of the path ends, with the place of that part.
        end: the state in which a key is accepted.
        letters: the characters that are read by themselves.
        exact: whether the text of a parameter is one that nothing else can be.
    """

    exact: bool = False
    steps: list[list[tuple[_Label, int]]] = field(default_factory=lambda: [[]])
    marks: dict[int, int] = field(default_factory=dict)
    end: int = 0
    letters: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path, *, exact: bool = False) -> Language:
        """The keys that a path selects, what lies below it included."""
        language = cls(exact)
        here, part_number = 0, 0
        for number, segment in enumerate(path.segments):
            last = number == len(path.segments) - 1
            if segment.deep:
                here = language._deep(here, first=number == 0, last=last)
                language.marks[here] = part_number
                part_number += 1
                continue
            before_is_open = number > 0 and path.segments[number - 1].deep
            if number and not before_is_open:
                here = language._read(here, ".")
            for part in segment.parts:
                here = language._part(here, part, alone=len(segment.parts) == 1)
                language.marks[here] = part_number
                part_number += 1
        # below it: nothing, or a dot and anything
        below = language._read(here, ".")
        language.steps[below].append((_ANY, below))
        language.end = language._state()
        language._jump(here, language.end)
        language._jump(below, language.end)
        return language

    def _state(self) -> int:
        self.steps.append([])
        return len(self.steps) - 1

    def _read(self, here: int, label: _Label) -> int:
        there = self._state()
        self.steps[here].append((label, there))
        if len(label) == 1:
            self.letters.add(label)
        return there

    def _jump(self, here: int, there: int) -> None:
        self.steps[here].append(("", there))

    def _word(self, here: int, text: str) -> int:
        for char in text:
            here = self._read(here, char)
        return here

    def _run(self, here: int, label: _Label, *, empty: bool) -> int:
        """One or more characters of a class; none as well where it may be `empty`."""
        there = self._read(here, label)
        self.steps[there].append((label, there))
        end = self._state()
        self._jump(there, end)
        if empty:
            self._jump(here, end)
        return end

    def _deep(self, here: int, *, first: bool, last: bool) -> int:
        """Any number of segments: each with the dot before it at the end of a path, with that behind it elsewhere."""
        end = self._state()
        if last:
            start = here if first else self._read(here, ".")
            run = self._run(start, _ANY, empty=False)
            self._jump(run, end)
            self._jump(here, end)
            return end
        if not first:
            here = self._read(here, ".")
        loop = self._state()
        self._jump(here, loop)
        inside = self._run(loop, _INSIDE, empty=False)
        self._jump(self._read(inside, "."), loop)
        self._jump(loop, end)
        return end

    def _part(self, here: int, part: Part, *, alone: bool) -> int:
        match part:
            case Literal(text=text):
                return self._word(here, text)
            case Star():
                return self._run(here, _INSIDE, empty=not alone)
            case Capture(kind="text"):
                return self._run(here, _INSIDE, empty=False)
            case Capture(kind="int"):
                return self._run(here, _DIGIT, empty=False)
            case Capture(alternatives=alternatives) | Group(alternatives=alternatives):
                return self._one_of(here, alternatives)
            case ParameterText(name=name):
                # one text, whichever it is: as good as a letter of its own, or anything
                return self._word(here, f"\ue000{name}\ue000") if self.exact else self._run(here, _ANY, empty=True)
            case Deep():
                raise AssertionError(part)

    def _one_of(self, here: int, alternatives: Sequence[Alternative]) -> int:
        end = self._state()
        for alternative in alternatives:
            self._jump(self._word(here, ".".join(alternative)), end)
        return end


def _alphabet(*languages: Language) -> list[str]:
    """A character for each that is told apart: all that are read by themselves, another digit, another letter."""
    letters = set().union(*(language.letters for language in languages)) | {"."}
    other_digit = next((d for d in string.digits if d not in letters), None)
    other = next(chr(n) for n in range(ord("a"), 0x10FFFF) if chr(n) not in letters and not chr(n).isdigit())
    return sorted({*letters, other, *([other_digit] if other_digit else [])})


def _reads(label: _Label, char: str) -> bool:
    if len(label) == 1:
        return label == char
    return label == _ANY or (label == _INSIDE and char != ".") or (label == _DIGIT and char in string.digits)


def meet(one: Path, other: Path) -> bool:
    """Whether some key is selected by both paths.

    >>> from surgery.lang.pattern import Pattern
    >>> def asked(a, b):
    ...     return meet(Pattern.of_text(a).path, Pattern.of_text(b).path)
    >>> asked("blocks.{i:int}", "blocks.norm"), asked("layer*.x", "layer4"), asked("fc", "fc2")
    (False, True, False)
    """
    first, second = Language.of(one), Language.of(other)
    alphabet = _alphabet(first, second)
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        here, there = waiting.pop()
        if here == first.end and there == second.end:
            return True
        for pair in _pairs(first, second, here, there, alphabet):
            if pair not in seen:
                seen.add(pair)
                waiting.append(pair)
    return False


def _pairs(one: Language, other: Language, here: int, there: int, alphabet: list[str]) -> Iterator[tuple[int, int]]:
    for label, state in one.steps[here]:
        if not label:
            yield state, there
    for label, state in other.steps[there]:
        if not label:
            yield here, state
    for char in alphabet:
        for label, state in one.steps[here]:
            if label and _reads(label, char):
                yield from ((state, far) for word, far in other.steps[there] if word and _reads(word, char))


def ambiguous(path: Path) -> bool:
    """Whether some key can be matched in two ways, with other text for a part, or another part of the key.

    >>> from surgery.lang.pattern import Pattern
    >>> [ambiguous(Pattern.of_text(text).path) for text in ("a.{i}.(q|k)", "{a}_{b}", "**.norm", "(a|a.b)")]
    [False, True, True, True]
    """
    language = Language.of(path, exact=True)
    alphabet = _alphabet(language)
    closed = [list(_closure(language, state)) for state in range(len(language.steps))]
    # a way is the sequence of parts that end after each character; two ways that differ anywhere are two
    start = {((state, marks), (other, others)) for state, marks in closed[0] for other, others in closed[0]}
    waiting = {(a, b, differ) for (a, m), (b, n) in start for differ in (m != n,)}
    seen = set(waiting)
    while waiting:
        here, there, differ = waiting.pop()
        if differ and here == language.end and there == language.end:
            return True
        for char in alphabet:
            for label, state in language.steps[here]:
                if not label or not _reads(label, char):
                    continue
                for word, far in language.steps[there]:
                    if not word or not _reads(word, char):
                        continue
                    for one, marks in closed[state]:
                        for two, others in closed[far]:
                            after = (one, two, differ or marks != others)
                            if after not in seen:
                                seen.add(after)
                                waiting.add(after)
    return False


def _closure(language: Language, state: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The states that are reached without reading, each way with the parts that end on it."""
    waiting: list[tuple[int, tuple[int, ...]]] = [(state, ())]
    seen: set[tuple[int, tuple[int, ...]]] = set()
    while waiting:
        here, marks = waiting.pop()
        if here in language.marks:
            marks = (*marks, language.marks[here]) if language.marks[here] not in marks else marks
        if (here, marks) in seen:
            continue
        seen.add((here, marks))
        yield here, marks
        waiting.extend((there, marks) for label, there in language.steps[here] if not label)
