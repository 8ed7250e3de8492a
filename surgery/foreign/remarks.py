"""What an importer has to say about a rule: how it was read where our language says less, or why it cannot be said."""

from __future__ import annotations

from enum import Enum

__all__ = ["Inexpressible", "Reading"]


class Reading(Enum):
    """How a rule was read, where what it says letter by letter has no form here. Real keys seldom show it."""

    DOT = "an unescaped `.` stands for a dot of the key"
    TWICE = "what matches is replaced once in a segment and twice in a key at most, and not everywhere"
    FIRST = "the first place in a key that matches is replaced, and not each"
    EDGE = "digits and whole words reach to the edges of their segment"
    SEVERAL = "in a key where a pattern, or what it rules out, fits in several ways, another of them may be taken"
    INDEX = "the `*` of a converter stands for one index"
    GUARD = "renames that belong together are always made, and not only where the first of them is needed"
    WORD = "a class of letters under `+` or `*` stands for any text inside one segment"
    EMPTY = "where a new key would have an empty segment, its dot goes too"


class Inexpressible(Exception):
    """A rule that our language cannot say; the message says why, in a few words."""
