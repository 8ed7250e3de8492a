"""Nearest known words, for the suggestion under an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(word: str, known: Iterable[str], *, most: int = 1) -> str | None:
    """A note that names the known words nearest to `word`, or None where none is near.

    >>> did_you_mean("renmae", ["rename", "filter"])
    'did you mean `rename`?'
    >>> did_you_mean("GeLU", ["GLU", "GELU"])
    'did you mean `GELU`?'
    """
    known = list(known)
    same = [name for name in known if name.casefold() == word.casefold()]
    near = same[:most] or difflib.get_close_matches(word, known, n=most, cutoff=0.6)
    if not near:
        return None
    return f"did you mean {' or '.join(f'`{name}`' for name in near)}?"
