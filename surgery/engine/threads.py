"""Operations on one thread each: tasks run side by side, and a sum does not depend on how many processors there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread_each", "use_one_thread"]

_OF_THREAD = threading.local()
_LOCK = threading.Lock()
#: how many threads torch used before the first task of a run asked for one
_BEFORE: list[int] = []


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let tasks on other threads call `use_one_thread`; afterwards torch's setting is what it was.

    Whether torch is needed at all, and when it is imported, is left to the tasks.
    """
    try:
        yield
    finally:
        with _LOCK:
            if _BEFORE:
                import torch

                torch.set_num_threads(_BEFORE.pop())


def use_one_thread() -> None:
    """Run the operations of the calling thread, which is one of a pool, on that thread alone."""
    if getattr(_OF_THREAD, "single", False):
        return
    import torch

    with _LOCK:
        if not _BEFORE:
            _BEFORE.append(torch.get_num_threads())
        # of this thread, and of threads that use torch for the first time later
        torch.set_num_threads(1)
    _OF_THREAD.single = True
