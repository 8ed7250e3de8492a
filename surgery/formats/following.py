"""What belongs to modules follows them: ``_metadata`` and entries that are no tensors, under the names of the result.

A `Rest` keeps them as the file names them. Where a module went is told by its tensors: each knows its source key, and
if its own name stayed, the modules above it are matched from the inside outwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from surgery.formats.contents import Rest
from surgery.tensors.subject import Subject

__all__ = ["extra_keys", "following"]

#: the paths at which a module of the file stands in the result; none where it is gone
_Moves = Callable[[str], Iterable[str]]


def following(subject: Subject) -> Rest | None:
    """The rest of a subject, its `extra` and `state_metadata` under the names that modules have now.

    A module without tensors follows the module around it. What belongs to a module all of whose tensors are gone goes
    too. A subject whose tensors come from no source keeps everything as it is.
    """
    rest: Rest | None = subject.rest
    if rest is None or not (rest.extra or rest.state_metadata):
        return rest
    moves = _moves_of(subject, rest)
    extra = {new: value for key, value in rest.extra.items() for new in _moved_keys(key, moves)}
    metadata = rest.state_metadata
    if metadata is not None:
        metadata = {new: value for path, value in metadata.items() for new in moves(path)}
    return dataclasses.replace(rest, extra=extra, state_metadata=metadata)


def extra_keys(subject: Subject) -> dict[str, list[str]]:
    """The keys of entries that are no tensors: as the file names them -> as they are called now."""
    rest: Rest | None = subject.rest
    if rest is None or not rest.extra:
        return {}
    moves = _moves_of(subject, rest)
    return {key: _moved_keys(key, moves) for key in rest.extra}


def _moved_keys(key: str, moves: _Moves) -> list[str]:
    path, _, name = key.rpartition(".")
    return [f"{new}.{name}" if new else name for new in moves(path)]


def _moves_of(subject: Subject, rest: Rest) -> _Moves:
    known = _known(subject)
    return _moves(known, _modules_with_tensors(rest)) if known else lambda path: (path,)


def _known(subject: Subject) -> dict[str, dict[str, None]]:
    """Paths of modules in the source -> their paths in the result."""
    known: dict[str, dict[str, None]] = {}
    for key, entry in subject.entries.items():
        for origin in entry.origins:
            old, new = origin.key.split("."), key.split(".")
            while old and new and old.pop() == new.pop():
                known.setdefault(".".join(old), {})[".".join(new)] = None
    return known


def _modules_with_tensors(rest: Rest) -> set[str]:
    """The paths of modules below which the file has tensors."""
    paths: set[str] = set()
    for key in rest.tensors:
        segments = key.split(".")
        paths.update(".".join(segments[:length]) for length in range(len(segments)))
    return paths


def _moves(known: Mapping[str, Mapping[str, None]], with_tensors: set[str]) -> _Moves:
    def moves(path: str) -> Iterable[str]:
        if path in known:
            return known[path]
        if not path:
            return [""]
        if path in with_tensors:
            return ()
        above, _, name = path.rpartition(".")
        return [f"{new}.{name}" if new else name for new in moves(above)]

    return moves
