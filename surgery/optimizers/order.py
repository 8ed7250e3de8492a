"""Whether numbered modules stand in the order of their numbers, as those of a model do."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["out_of_order"]

#: a number of more digits is a name
_DIGITS = 9


def out_of_order(keys: Iterable[str]) -> tuple[str, str] | None:
    """The first module that stands behind one of a larger number, that one first; None where there is none.

    >>> out_of_order(["blocks.1.weight", "blocks.0.weight"])
    ('blocks.1', 'blocks.0')
    >>> out_of_order(["blocks.0.weight", "blocks.1.weight", "head.0.weight"])
    """
    last: dict[tuple[str, ...], int] = {}
    for key in keys:
        segments = tuple(key.split("."))
        for at, segment in enumerate(segments[:-1]):
            if not (segment.isascii() and segment.isdigit() and len(segment) <= _DIGITS):
                continue
            above, number = segments[:at], int(segment)
            if number < last.get(above, number):
                return ".".join((*above, str(last[above]))), ".".join((*above, segment))
            last[above] = number
    return None
