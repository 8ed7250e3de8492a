"""Small phrases that messages and screens share: lists of names, numbers of things."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["counted", "listed"]


def listed(names: Iterable[object], most: int | None = None, *, mark: str = "`") -> str:
    """Names one after the other, each between two marks; with `most`, the first so many and the number of the rest.

    >>> listed(["a", "b"]), listed("abcd", 2), listed("ab", mark="")
    ('`a`, `b`', '`a`, `b` and 2 more', 'a, b')
    """
    words = [f"{mark}{name}{mark}" for name in names]
    more = 0 if most is None else len(words) - most
    return f"{', '.join(words[:most])} and {more} more" if more > 0 else ", ".join(words)


def counted(count: int, noun: str) -> str:
    """A number of things, the plural of which ends in ``s``.

    >>> counted(1, "key"), counted(12_000, "key")
    ('1 key', '12,000 keys')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"
