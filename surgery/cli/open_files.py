"""How many files this process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress

__all__ = ["allow_many"]


def allow_many() -> None:
    """Take as many open files as the system gives anybody who asks.

    The files of a run stay open until it ends, so that what is read and written is one state of each. The usual limit,
    1024, dates from programs that use `select`; checkpoints of that many ranks or shards exist.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        # some systems say "infinite", and refuse that
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
