"""Which of several models an optimizer is for, where it would fit more than one: twin critics, say."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["is_of"]

_COMMON = re.compile(r"state_?dict|optimi[sz]ers?|optims?|opt|models?|networks?|net|[^a-z0-9]")
#: what averages are called, which no optimizer trains
_AVERAGE = re.compile(r"ema|avg|average|swa|teacher|target")


def is_of(optimizer: Iterable[str], model: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> bool | None:
    """Whether an optimizer is for `model` and not one of the others, by their names; None where these do not tell.

    >>> twins = ("critic1",), ("critic2",)
    >>> is_of(("critic1_optimizer",), twins[0], twins[1:]), is_of(("critic2_optimizer",), twins[0], twins[1:])
    (True, False)
    >>> is_of(("optimizers", "0"), twins[0], twins[1:]) is None, is_of(("optimizer",), ("model",), [("ema",)])
    (True, True)
    """
    rivals = {_bare(path) for path in others if not _AVERAGE.search(".".join(path).lower())}
    name = _bare(optimizer)
    if not rivals or (name == _bare(model) and name not in rivals):
        return True
    return False if name in rivals and name != _bare(model) else None


def _bare(path: Iterable[str]) -> str:
    """A name without the words that say nothing: ``modelA_state_dict`` and ``optimizerA`` are both ``a``."""
    return _COMMON.sub("", ".".join(path).lower())
