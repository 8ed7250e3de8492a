"""The garbage collector, paused where it has nothing to find."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_collection"]


@contextmanager
def without_collection() -> Iterator[None]:
    """Without garbage collection; a decorator too.

    Where hundreds of thousands of small objects are made and all of them are kept, the collector goes through them
    over and over: a plan takes twice the time with it, the reading of headers five times. Where torch has been
    imported, going through its objects once takes as long as a small run.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
