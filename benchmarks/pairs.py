"""Two commands in turn, A B A B …, and the ratio of each pair: what holds on a noisy machine."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Run", "compare", "measure", "python"]


@dataclass(frozen=True)
class Run:
    """One whole process: wall and processor seconds, peak resident memory in MB."""

    seconds: float
    processor: float
    megabytes: float


def python(code: str, *arguments: object) -> list[str]:
    """A command that runs some Python."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def measure(command: Sequence[str]) -> Run:
    """Run a command to its end; one that fails ends the benchmark."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(command)[:200]} failed:\n{error.decode()}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(
    name: str, ours: Sequence[str], theirs: Sequence[str], rounds: int, before: Callable[[], None] = lambda: None
) -> None:
    """Print a line: medians of both, and the median of the ratios ours / theirs."""
    pairs: list[tuple[Run, Run]] = []
    for number in range(rounds + 1):
        before()
        pair = measure(ours), measure(theirs)
        if number:  # the first pair warms up
            pairs.append(pair)
    ours_s = statistics.median(a.seconds for a, _ in pairs)
    theirs_s = statistics.median(b.seconds for _, b in pairs)
    ratio = statistics.median(a.seconds / b.seconds for a, b in pairs)
    ours_mb = statistics.median(a.megabytes for a, _ in pairs)
    theirs_mb = statistics.median(b.megabytes for _, b in pairs)
    print(f"{name:46} {ours_s:6.2f} s {ours_mb:6.0f} MB   {theirs_s:6.2f} s {theirs_mb:6.0f} MB   ratio {ratio:5.2f}")
