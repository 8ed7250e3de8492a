"""Jobs on a few threads, in order, within a budget of memory. The first failure stops all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["BUDGET", "Job", "run_jobs", "workers"]

#: bytes of memory for what is computed at the same time; one job that needs more runs alone
BUDGET = 160 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do, and a bound on the memory it takes, in bytes."""

    run: Callable[[], None]
    memory: int = 0


def workers() -> int:
    """How many threads move bytes: as many as there are processors, two to eight."""
    return min(8, max(2, os.cpu_count() or 1))


def run_jobs(jobs: Iterable[Job], *, budget: int = BUDGET) -> None:
    """Run all jobs. When this returns or raises, none is running.

    Raises:
        Exception: what the first failing job raised; the jobs behind it were not begun.
    """
    _Pool(jobs, budget).run()


class _Pool:
    def __init__(self, jobs: Iterable[Job], budget: int) -> None:
        self._jobs: Iterator[Job] = iter(jobs)
        self._budget = budget
        self._used = 0
        self._running = 0
        self._stopped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def run(self) -> None:
        threads = [threading.Thread(target=self._work, name=f"surgery-{n}", daemon=True) for n in range(workers())]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._settle()
            raise
        if self._error is not None:
            raise self._error

    def _settle(self) -> None:
        """After an interruption what is running may finish, and nothing else begins; more interruptions change nothing.

        Threads are not asked: Python takes one for finished whose `join` was interrupted.
        """
        while True:
            with suppress(BaseException), self._changed:
                self._stopped = True
                self._changed.notify_all()
                if not self._running:
                    return
                self._changed.wait()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.run()
            except BaseException as error:
                self._fail(error)
            finally:
                with self._changed:
                    self._used -= job.memory
                    self._running -= 1
                    self._changed.notify_all()

    def _next(self) -> Job | None:
        """The next job, when there is memory for it; None when there is none or all is to stop."""
        with self._changed:
            if self._stopped:
                return None
            try:
                job = next(self._jobs, None)
            except BaseException as error:
                self._error, self._stopped = self._error or error, True
                return None
            if job is None:
                return None
            while self._used and self._used + job.memory > self._budget and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return None
            self._used += job.memory
            self._running += 1
            return job

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._stopped = True
            self._changed.notify_all()
