"""Recipes tried side by side, each process with its own."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from surgery.diagnostics import fail
from surgery.limits import limited, limits
from surgery.testing.outcome import Tested
from surgery.testing.running import try_recipe

__all__ = ["try_recipes"]


def try_recipes(names: Sequence[str], allow: frozenset[str], select: str = "", *, jobs: int = 1) -> Iterator[Tested]:
    """What comes of each recipe, in order, as soon as it is known.

    Args:
        names: files, or names of shipped recipes.
        allow: permissions of the caller.
        select: only cases with this in their names.
        jobs: how many processes try them; with one, it is this one.

    Raises:
        SurgeryError: ``test-failed``; one of the processes died.
    """
    if jobs == 1 or len(names) < 2:
        yield from (try_recipe(name, allow, select) for name in names)
        return
    run = partial(_try, allow=allow, select=select, in_force=dataclasses.asdict(limits()))
    # a fork would share the threads and locks of torch
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(names)), mp_context=spawn, initializer=_begin) as pool:
        try:
            yield from pool.map(run, names)
        except BrokenProcessPool as error:
            note = "code of a recipe ended it, or it took too much memory; without `-j` it is seen in which recipe"
            raise fail("test-failed", "a process died while it tried a case", notes=(note,)) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin() -> None:
    """A process that is interrupted ends without a word: the one that began it has that."""
    signal.signal(signal.SIGINT, _leave)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _try(name: str, *, allow: frozenset[str], select: str, in_force: Mapping[str, Any]) -> Tested:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with limited(in_force):
            return try_recipe(name, allow, select)
    except KeyboardInterrupt:
        # the directory of the case is gone by now, and the pool would go on with the next recipe
        os._exit(128 + signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, _leave)
