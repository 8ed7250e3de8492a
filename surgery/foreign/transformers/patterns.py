"""The patterns of transformers: regular expressions with rules of their own.

A pattern is searched for, and the first place in a key that holds the text it found is replaced. It ends at the end of
a word. ``*.`` stands for anything up to a dot. A transform of a part of a model sees keys below that part alone, with
the prefix of the base model or without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from surgery.foreign.branches import Branch, Brancher, Edge, Not, Text, Wild
from surgery.foreign.letters import Cell, Dot, Letters, text_letters
from surgery.foreign.regex import parse_regex
from surgery.foreign.remarks import Inexpressible, Reading
from surgery.foreign.replacement import Group, Piece

__all__ = ["Scope", "branches_of", "pieces_of", "readings_of", "scopes_of"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where in a key a transform looks: behind `head`, in keys that do not begin with `without`."""

    head: Letters = ()
    without: str | None = None


def branches_of(pattern: str, brancher: Brancher, *, index: bool = False) -> list[Branch]:
    """The branches of a source pattern, which ends on the edge of a word; `index` reads its `*` as an index.

    Raises:
        Inexpressible: our language cannot say it.
    """
    if index and "*" in pattern.replace(r".*.", "").replace("_*.", ""):
        raise Inexpressible("a `*` that is no index")
    if index and "*" in pattern:
        brancher.readings.add(Reading.INDEX)
        pattern = pattern.replace(".*.", r"\.(\d+)\.").replace("_*.", r"_(\d+)\.")
    spelled = pattern.replace("*.", r".*\.")
    if spelled[-1:].isascii() and spelled[-1:].isalnum():
        spelled += r"(?!\w)"
    return brancher.branches(parse_regex(spelled)[0])


def pieces_of(target: str, index: Wild | None = None) -> list[Piece]:
    """What a target pattern puts in place of a match; its `*` is `index`."""
    found: list[Piece] = []
    for number, part in enumerate(target.split(r"\1")):
        if number:
            found.append(Group(1))
        for count, text in enumerate(part.split("*") if index else [part]):
            if count and index:
                found.append(index)
            if text:
                found.append(Text(text))
    return found


def readings_of(branch: Branch) -> set[Reading]:
    """What replacing the first place with the same text comes to, where the pattern asks for more than text."""
    anchored = Edge("start") in branch
    asks = any(isinstance(item, Not) or item == Edge("word") for item in branch)
    return {Reading.SEVERAL} if asks and not anchored else set()


def scopes_of(transform: Any, branch: Branch) -> Iterator[Scope]:
    """Where a transform looks for one branch of its pattern."""
    if transform.scope_prefix is None:
        yield Scope()
        return
    scope, base = transform.scope_prefix, transform.base_model_prefix
    if scope and base:
        either = Cell("one_of", "scope", options=(f"{base}.{scope}", scope))
        yield Scope((either, Dot()))
    elif scope or not base:
        yield Scope(text_letters(f"{scope}.") if scope else ())
    elif Edge("start") not in branch and not _touches(branch, f"{base}."):
        yield Scope()  # what is found anywhere is found behind the prefix, or without it
    else:
        yield Scope(text_letters(f"{base}."))
        yield Scope(without=base)


def _touches(branch: Sequence[Any], prefix: str) -> bool:
    """Whether a match may begin within `prefix` at the beginning of a key."""
    first = next((item for item in branch if not isinstance(item, Not | Edge) and type(item).__name__ != "Mark"), None)
    if not isinstance(first, Text):
        return True
    ends = [prefix[start:] for start in range(len(prefix))]
    return any(end.startswith(first.text) or first.text.startswith(end) for end in ends)
