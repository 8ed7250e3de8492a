"""Signals at random moments of a run: it ends with their status, nothing is mixed, nothing is left."""

from __future__ import annotations

import dataclasses
import random
import signal
import time

import pytest
from scenes import SCENES, safetensors

#: so that a run writes for some time
LARGE = {"in.safetensors": safetensors({f"a.{n}": 1 << 16 for n in range(8)})}
SIGNALS = {"KILL": (signal.SIGKILL, -9), "INT": (signal.SIGINT, 130), "TERM": (signal.SIGTERM, 143)}


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize(("scene", "limit"), [("replaced file", ()), ("replaced shards", ("--shard-size", "800kB"))])
def test_a_signal_at_a_random_moment(stage, cases, scene, limit, name):
    number, status = SIGNALS[name]
    found = SCENES[scene]
    staged = stage(dataclasses.replace(found, inputs=LARGE, argv=(*found.argv, *limit)))
    chance = random.Random(f"{scene} {name}")
    staged.prepare()
    begun = time.monotonic()
    assert staged.run()["status"] == 0
    duration = time.monotonic() - begun
    while_writing = 0
    for _ in range(cases(20)):
        staged.prepare()
        done = staged.run(signal=number, delay=chance.uniform(0.1, 1) * duration)
        staged.check(done)
        # after the last word of a run, while Python ends, a signal kills it as any process: `-number`, as `$?` the same
        assert done["status"] in (0, status, -number), done
        while_writing += done["status"] == status and bool(done["calls"])
        if name != "KILL":
            assert staged.strange() == set()
            assert done["err"].strip() == ""
        elif done["status"]:
            staged.run_cleanly()
    assert while_writing
