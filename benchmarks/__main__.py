"""All benchmarks, in sizes that take a few minutes: ``make benchmarks``."""

from __future__ import annotations

import subprocess
import sys

RUNS = (
    ["benchmarks.startup", "--rounds", "3"],
    ["benchmarks.matching"],
    ["benchmarks.models", "--rounds", "3"],
    ["benchmarks.checkpoints", "--gigabytes", "1", "--rounds", "3"],
    ["benchmarks.conversions", "--gigabytes", "1", "--rounds", "3"],
    ["benchmarks.memory", "--gigabytes", "1", "2"],
)

for module, *options in RUNS:
    print(f"\n{module}")
    subprocess.run([sys.executable, "-m", module, *options], check=True)
