"""Why a rule selects nothing: the first word of it that no key agrees with, and what stands there instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from surgery.diagnostics import Diagnostic
from surgery.lang.path import Path
from surgery.lang.pattern import Pattern
from surgery.lang.render import split_key
from surgery.lang.selector import paths
from surgery.suggest import did_you_mean

if TYPE_CHECKING:
    from surgery.planning.selecting import Choice

__all__ = ["idle_path", "idle_rule"]


def idle_rule(
    choice: Choice, choices: Sequence[Choice], takers: Mapping[int, int], keys: Sequence[str], *, exact: bool
) -> Diagnostic:
    """The error of a rule that took nothing. `takers` counts, by number of rule, who took what it would select;
    -1 stands for keys that its guard (or its exception) refused."""
    noun = "modules" if exact else "keys"
    if takers:
        number, count = Counter(takers).most_common(1)[0]
        if number >= 0:
            message = f"this {choice.noun} selects nothing: earlier rules took {_all(sum(takers.values()), noun)}"
            where = choices[number].span
            note = f"first of them: `{choices[number].selector}`" + (f" ({where.place})" if where else "")
            return Diagnostic("unused-rule", message, choice.span, (note, "the first rule that selects a key applies"))
        if exact and isinstance(choice.selector, Path):
            # nothing else refuses a module that is on the path
            message = f"this {choice.noun} selects nothing: `{choice.selector}` is below what the same step replaces"
            return Diagnostic("unused-rule", message, choice.span, ("make it two steps",))
        message = f"this {choice.noun} selects nothing: of {count} {noun} on its path, its condition holds for none"
        return Diagnostic("unused-rule", message, choice.span)
    first = next(iter(paths(choice.selector)))
    return replace(idle_path(choice, first, keys, exact=exact), message=f"this {choice.noun} selects nothing")


def _all(count: int, noun: str) -> str:
    return f"the one {noun[:-1]} it would take" if count == 1 else f"all {count} {noun} it would take"


def idle_path(choice: Choice, path: Path, keys: Sequence[str], *, exact: bool) -> Diagnostic:
    """The error of one path, pointing at its first segment with which no key goes on."""
    word, notes = _first_wrong_word(path, keys, exact=exact)
    span = choice.span_of(path.segments[word].at if path.segments else path.at)
    message = f"`{path}` selects nothing"
    return Diagnostic("unused-rule", message, span, tuple(notes))


def _first_wrong_word(path: Path, keys: Sequence[str], *, exact: bool) -> tuple[int, list[str]]:
    split = [split_key(key) for key in keys]
    if not split:
        return 0, ["there are no keys at all"]
    for length in range(1, len(path.segments) + 1):
        head = Pattern(replace(path, segments=_untyped(path.segments[:length])))
        if any(head.match(key) for key in split):
            continue
        return length - 1, _notes(path, length - 1, split, noun="module" if exact else "key")
    last = len(path.segments) - 1
    typed = [index for index, segment in enumerate(path.segments) if segment.types]
    if typed:
        return typed[0], [f"no module there is a {' or '.join(path.segments[typed[0]].types)}"]
    return last, (["a module is named here, not a tensor"] if exact else [])


def _untyped(segments: tuple) -> tuple:
    return tuple(replace(segment, types=()) for segment in segments)


def _notes(path: Path, index: int, keys: Sequence[tuple[str, ...]], *, noun: str) -> list[str]:
    """What stands where segment `index` of the path found nothing."""
    following = Counter(rest[0] for key in keys for rest in _below(path, index, key) if rest)
    wanted = path.segments[index]
    text = Path((wanted,)).literal
    prefix = ".".join(str(segment) for segment in path.segments[:index])
    if not following:
        return [f"no {noun} stands below `{prefix}`"] if index else []
    notes = []
    near = did_you_mean(text, following) if text else None
    if near:
        name = near.removeprefix("did you mean `").removesuffix("`?")
        whole = f"{prefix}.{name}" if prefix else name
        count = following[name]
        one, many = ("matches", "match") if any(m in prefix for m in "*{(") else ("begins with", "begin with")
        notes.append(f"{count} {f'{noun} {one}' if count == 1 else f'{noun}s {many}'} `{whole}`; {near}")
    else:
        common = [name for name, _ in following.most_common(6)]
        shown = ", ".join(f"`{name}`" for name in common) + (", …" if len(following) > 6 else "")
        notes.append(
            f"there {'stand' if len(following) > 1 else 'stands'} {shown}" + (f" below `{prefix}`" if prefix else "")
        )
    elsewhere = _elsewhere(text, keys) if text else None
    if elsewhere:
        notes.append(elsewhere)
    return notes


def _below(path: Path, index: int, key: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What may follow in a key behind the first `index` segments of a path."""
    if index == 0:
        yield key
        return
    for match in Pattern(replace(path, segments=_untyped(path.segments[:index]))).matches(key):
        yield match.rest


def _elsewhere(text: str, keys: Sequence[tuple[str, ...]]) -> str | None:
    """A segment of that very name at another depth."""
    for key in keys:
        if text in key:
            position = key.index(text)
            where = ".".join(key[: position + 1])
            return f"`{text}` is there as `{where}`: matching is anchored; `**.{text}` finds it at any depth"
    return None
