"""Which of several models an optimizer is for, where it would fit more than one: twin critics, say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["owner_of"]

_COMMON = re.compile(r"state_?dict|optimi[sz]ers?|optims?|opt|models?|networks?|net|[^a-z0-9]")
#: what averages are called, which no optimizer trains
_AVERAGE = re.compile(r"ema|avg|average|swa|teacher|target")


def owner_of(optimizer: Iterable[str], models: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The one of `models`, all of which it would fit, that an optimizer is for; None where names do not tell.

    >>> twins = [("critic1",), ("critic2",)]
    >>> owner_of(("critic2_optimizer",), twins), owner_of(("optimizers", "0"), twins)
    (('critic2',), None)
    >>> owner_of(("optimizer",), [("ema",), ("model",)])
    ('model',)
    """
    trained = [path for path in models if not _AVERAGE.search(".".join(path).lower())] or list(models)
    if len(trained) == 1:
        return trained[0]
    named = [path for path in trained if _bare(path) == _bare(optimizer)]
    return named[0] if len(named) == 1 else None


def _bare(path: Iterable[str]) -> str:
    """A name without the words that say nothing: ``modelA_state_dict`` and ``optimizerA`` are both ``a``."""
    return _COMMON.sub("", ".".join(path).lower())
