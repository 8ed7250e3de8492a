"""The same faults, injected by ``strace`` into the real system calls of a whole process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scenes import SCENES, strace_works

pytestmark = pytest.mark.skipif(not strace_works(), reason="strace is not there, or may not trace")

#: ``strace`` ends as what it traces, or as a shell would tell it
KILLED, REFUSED, DONE = (-signal.SIGKILL, 128 + signal.SIGKILL), (3,), (0,)
#: scene, way, what ``strace`` injects, how the run ends: killed, with an error, or as if nothing had happened
CASES = [
    ("replaced file", "cached", "pwrite64:signal=KILL:when=1", KILLED),
    ("replaced file", "cached", "fsync:signal=KILL:when=1", KILLED),
    ("replaced file", "cached", "rename:signal=KILL:when=1", KILLED),
    ("replaced file", "cached", "fsync:signal=KILL:when=2", KILLED),
    ("in place", "cached", "pwrite64:error=ENOSPC:when=1+", REFUSED),
    ("new file", "cached", "link:signal=KILL:when=1", KILLED),
    ("new file", "cached", "fsync:error=EIO:when=1", REFUSED),
    ("torch zip", "direct", "fallocate:error=ENOSPC:when=1+", REFUSED),
    ("torch zip", "direct", "fallocate:error=EOPNOTSUPP:when=1+", DONE),
    ("torch zip", "direct", "pwrite64:error=EIO:when=2", REFUSED),
    ("replaced shards", "cached", "renameat2:signal=KILL:when=1", KILLED),
    ("replaced shards", "cached", "renameat2:error=ENOSYS:when=1+", DONE),
    ("replaced shards", "cached", "unlink:signal=KILL:when=2", KILLED),
    ("replaced shards", "direct", "pwrite64:error=EINVAL:when=1", REFUSED),
]


@pytest.mark.parametrize(("scene", "how", "fault", "ends"), CASES, ids=[" ".join(case[:3]) for case in CASES])
def test_a_fault_of_the_system(stage, servers, scene, how, fault, ends):
    staged = stage(SCENES[scene], how)
    staged.prepare()
    script = Path(__file__).with_name("run_server.py")
    program = [sys.executable, script, json.dumps(servers(how).constants), *staged.scene.argv]
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={fault}"]
    done = subprocess.run([*trace, *program], cwd=staged.directory, capture_output=True, text=True, timeout=120)
    assert done.returncode in ends, done.stderr
    staged.check({"status": done.returncode, "err": done.stderr})
    if ends is REFUSED:
        assert done.stderr.count("error[output]") + done.stderr.count("error[no-space]") == 1
        assert staged.strange() == set()
    staged.run_cleanly()
