"""The prefix of the base model: put before keys of a bare model, and taken from those of one with a head."""

from __future__ import annotations

from collections.abc import Callable, Collection

from surgery.foreign.letters import Cell, Dot, Letters, text_letters
from surgery.foreign.rules import Written, write_rules
from surgery.foreign.sides import Sides

__all__ = ["prefix_rules"]


def prefix_rules(prefix: str, keys: Collection[str]) -> list[Written]:
    """The rules for the last step: `keys` are those of the model, `prefix` that of its base model."""
    if not prefix:
        return []
    below = {key.removeprefix(f"{prefix}.").split(".")[0] for key in keys if key.startswith(f"{prefix}.")}
    beside = {key.split(".")[0] for key in keys if not key.startswith(f"{prefix}.")}
    head: Letters = (*text_letters(prefix), Dot())
    if not below:
        return _rules(beside - {prefix}, lambda child: Sides((*head, *child), child))
    added = _rules(below - beside - {prefix}, lambda child: Sides(child, (*head, *child)))
    # where the base model has a part of the same name, a prefix too many is taken away again
    twice = {key.split(".")[2] for key in keys if key.startswith(f"{prefix}.{prefix}.")}
    if twice:
        added += _rules(below - twice - {prefix}, lambda child: Sides((*head, *head, *child), (*head, *child)))
    return added + _rules(beside - below - {prefix}, lambda child: Sides((*head, *child), child))


def _rules(children: set[str], sides: Callable[[Letters], Sides]) -> list[Written]:
    if not children:
        return []
    child: Letters = (
        (Cell("one_of", "child", options=tuple(sorted(children))),) if len(children) > 1 else text_letters(*children)
    )
    return write_rules(sides(child))
