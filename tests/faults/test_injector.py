"""The injector misses no call that changes files: what it counts is what ``strace`` sees."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from scenes import SCENES, strace_works

#: system calls that change files -> the names that the injector counts them under
SYSTEM_CALLS = {
    **dict.fromkeys(("rename", "renameat"), "rename"),
    **{name: name for name in ("link", "unlink", "mkdir", "rmdir", "ftruncate", "fsync", "fdatasync", "fchmod")},
    **{name: name for name in ("fchown", "copy_file_range", "sync_file_range", "ioctl", "renameat2", "sendfile")},
    **{"pwrite64": "pwrite", "pwritev": "pwritev", "linkat": "link", "unlinkat": "unlink", "mkdirat": "mkdir"},
    **{"openat": "open", "open": "open", "creat": "open", "truncate": "truncate", "fallocate": "fallocate"},
}
SAME = {"replace": "rename", "remove": "unlink", "fallocate64": "fallocate"}
pytestmark = pytest.mark.skipif(not strace_works(), reason="strace is not there, or may not trace")
LINE = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(.*)$")


def _mutations(log, directory):
    """What changed in a directory, counted, by the log of ``strace -f -y``."""
    found = Counter()
    for line in log.splitlines():
        match = LINE.match(line)
        if match is None or match[1] not in SYSTEM_CALLS or "resumed>" in match[2]:
            continue
        name, rest = match.groups()
        if str(directory) not in rest and "/proc/self/fd" not in rest:
            continue
        if SYSTEM_CALLS[name] == "open" and not re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", rest):
            continue
        found[SYSTEM_CALLS[name]] += 1
    return found


@pytest.mark.parametrize(
    ("scene", "how"),
    [
        *((scene, "cached") for scene in ("new file", "in place", "new shards", "replaced shards", "several")),
        *((scene, "direct") for scene in ("torch zip", "replaced shards")),
    ],
)
def test_nothing_is_missed(place, tmp_path, servers, torch_zip, scene, how):
    log = tmp_path / "log"
    found = SCENES[scene]
    found.prepare(place, torch_zip)
    counted = servers(how).run(place, found.argv)
    assert counted["status"] == 0
    assert ("fallocate64" in counted["calls"]) == (how == "direct")
    found.prepare(place, torch_zip)
    # absolute paths, so that the trace tells them; and one run without a server
    argv = [str(place / word) if word in {*found.inputs, *found.outputs, "out/"} else word for word in found.argv]
    program = [sys.executable, Path(__file__).with_name("run_server.py"), json.dumps(servers(how).constants), *argv]
    subprocess.run(["strace", "-f", "-y", "-qq", "-s", "0", "-o", log, *program], cwd=place, check=True, timeout=120)
    seen = _mutations(log.read_text(), place)
    assert seen == Counter(SAME.get(name, name) for name in counted["calls"])
