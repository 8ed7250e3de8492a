"""Texts that a comma of a flow collection cut in two: ``{rule: Linear(2048, 10)}``."""

from __future__ import annotations

from collections.abc import Sequence

from surgery.document.nodes import Node, Scalar

__all__ = ["cut_text"]


def cut_text(items: Sequence[Node]) -> Scalar | None:
    """The first piece of a text that was cut, among the items of a flow collection; None if none was.

    A text was cut where one piece opens a bracket that a later one closes, or where a piece that holds an arrow lacks
    a value: ``{rule: a -> b, c -> d}``.
    """
    opened: Scalar | None = None
    before: Scalar | None = None
    for item in items:
        if not isinstance(item, Scalar) or item.quoted:
            continue
        text = item.text.value
        balance = text.count("(") - text.count(")")
        if opened is None and balance > 0:
            opened = item
        elif opened is not None and balance < 0:
            return opened
        if not text and before is not None and any(arrow in before.text.value for arrow in ("->", "→")):
            return before
        before = item
    return None
