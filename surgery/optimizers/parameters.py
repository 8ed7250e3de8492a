"""The parameters before and after: what an optimizer numbers, in its order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surgery.formats.contents import Rest
from surgery.formats.entries import candidates
from surgery.formats.nodes import children
from surgery.tensors.expr import TensorExpr
from surgery.tensors.parameters import first_names, is_parameter
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Subject

__all__ = ["Survivor", "other_models", "parameters_before", "stretches", "survivors"]


@dataclass(frozen=True, slots=True)
class Survivor:
    """A parameter of the result.

    Attributes:
        key: its key.
        old: the parameter of the checkpoint whose values it still has; None where it is new or computed.
        related: parameters of the checkpoint that went into it.
        replaced: parameters of the checkpoint in whose place it stands; those of its own name first.
    """

    key: str
    old: str | None
    related: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


def parameters_before(rest: Rest, subject: Subject) -> dict[str, Spec]:
    """The parameters of the checkpoint's state dict, in its order."""
    known: dict[str, str | None] = dict(rest.kinds)
    for entry in subject.entries.values():
        for origin in entry.origins:
            if origin.source == rest.source and entry.kind is not None:
                known.setdefault(origin.key, entry.kind)
    found = ((key, expr) for key, expr in rest.tensors.items() if is_parameter(key, expr.spec, known.get(key)))
    return {key: rest.tensors[key].spec for key in first_names(found)}


def other_models(rest: Rest) -> dict[tuple[str, ...], dict[str, Spec]]:
    """The parameters of the other state dicts in the checkpoint, which optimizers of their own may belong to."""
    found = {}
    for candidate in candidates(rest.tree):
        node = rest.tree
        for name in candidate.entry:
            node = dict(children(node))[name]
        if candidate.entry != rest.entry and isinstance(node, Mapping):
            tensors = ((key, expr) for key, expr in node.items() if isinstance(expr, TensorExpr))
            found[candidate.entry] = {str(key): e.spec for key, e in tensors if is_parameter(str(key), e.spec, None)}
    return found


def survivors(rest: Rest, subject: Subject, before: Mapping[str, Spec]) -> list[Survivor]:
    """The parameters of the result, in its order."""
    found = ((key, entry.expr) for key, entry in subject.entries.items() if is_parameter(key, entry.spec, entry.kind))
    return [_survivor(key, subject.entries[key], rest, before) for key in first_names(found)]


def stretches(before: Mapping[str, Spec], after: Sequence[Survivor]) -> dict[str, int]:
    """Parameters that stay as they were beside one another, nothing gone or new between them: each with a number.

    Where the place of a new parameter is told by its neighbours alone, there are none.
    """
    sources = [(*one.related, *one.replaced) for one in after if one.old is None]
    if not all(sources):
        return {}
    copies = [key for key, count in Counter(one.old for one in after).items() if count > 1]
    special = {key for names in sources for key in names}.union(copies)
    places = {key: place for place, key in enumerate(before) if key not in special}
    found: dict[str, int] = {}
    stretch, last = 0, -1
    for one in after:
        place = places.get(one.old or "")
        if place is None or place != last + 1:
            stretch += 1
        if one.old is not None and place is not None:
            found[one.old] = stretch
        last = -2 if place is None else place
    return found


def _survivor(key: str, entry: Entry, rest: Rest, before: Mapping[str, Spec]) -> Survivor:
    related = _known(entry.origins, rest, before)
    # a cast keeps the parameter what it is; the state is cast to it when torch loads it
    computed = any(touch.computes and touch.step != "cast" for touch in entry.trail)
    whole = len(related) == len(entry.origins) == 1 and not computed and entry.spec.shape == before[related[0]].shape
    return Survivor(key, related[0] if whole else None, related, _known(entry.replaces, rest, before))


def _known(origins: tuple[Origin, ...], rest: Rest, before: Mapping[str, Spec]) -> tuple[str, ...]:
    """Those that are parameters of this checkpoint, by key."""
    return tuple(o.key for o in origins if o == Origin(rest.source, o.key) and o.key in before)
