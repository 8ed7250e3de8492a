"""Jobs on threads: interruptions, however many, and wherever they strike."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from surgery.engine.pool import Job, run_jobs


class StopError(BaseException):
    """What a signal handler raises."""


@pytest.fixture
def alarms() -> Iterator[None]:
    """Interrupt the main thread again and again."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise StopError

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("after", [0.0002, 0.0005, 0.001, 0.02])
def test_when_it_is_interrupted_no_job_is_running(alarms: None, after: float) -> None:
    running: set[int] = set()
    begun = 0

    def job() -> None:
        nonlocal begun
        begun += 1
        running.add(threading.get_ident())
        time.sleep(0.1)
        running.discard(threading.get_ident())

    left = None
    try:
        signal.setitimer(signal.ITIMER_REAL, after, 0.01)
        run_jobs(Job(job) for _ in range(1000))
    except StopError:
        left = set(running)
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert left == set()
    assert begun < 100
