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
    head = (*text_letters(prefix), Dot())
    if below:
        children = sorted(below - beside - {prefix})
        return _rules(children, lambda child: Sides(child, (*head, *child)))
    return _rules(sorted(beside - {prefix}), lambda child: Sides((*head, *child), child))


def _rules(children: list[str], sides: Callable[[Letters], Sides]) -> list[Written]:
    if not children:
        return []
    child: Letters = (
        (Cell("one_of", "child", options=tuple(children)),) if len(children) > 1 else text_letters(children[0])
    )
    return write_rules(sides(child))
