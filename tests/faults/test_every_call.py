"""A fault at every call that changes files: outputs are the whole old or the whole new, inputs stay, litter goes."""

from __future__ import annotations

import errno

import pytest
from scenes import SCENES

#: faults by name; each comes once at every call
FAULTS = {
    "SIGKILL": {"kind": "kill"},
    "SIGKILL in the middle of a write": {"kind": "torn"},
    "ENOSPC": {"kind": "error", "error": errno.ENOSPC},
    "EIO": {"kind": "error", "error": errno.EIO},
    "EXDEV": {"kind": "error", "error": errno.EXDEV},
    "the disk stays full": {"kind": "error", "error": errno.ENOSPC, "lasting": True},
    "the disk is gone": {"kind": "error", "error": errno.EIO, "lasting": True},
    "a short write": {"kind": "short"},
}
CASES = [(scene, "cached", fault) for scene in SCENES for fault in FAULTS]
CASES += [
    (scene, "direct", fault)
    for scene in ("replaced file", "replaced shards", "torch zip")
    for fault in ("SIGKILL", "SIGKILL in the middle of a write", "ENOSPC", "a short write")
]
#: more calls than any scene makes
ENDLESS = 500


@pytest.mark.parametrize(("scene", "how", "fault"), CASES, ids=[", ".join(case) for case in CASES])
def test_a_fault_at_every_call(stage, scene, how, fault):
    staged = stage(SCENES[scene], how)
    options = FAULTS[fault]
    for at in range(1, ENDLESS):
        staged.prepare()
        done = staged.run(fault={"at": at, **options})
        struck = len(done["calls"]) >= at
        where = f"call {at}, {done['calls'][-1]}, status {done['status']}: {done['err']}"
        try:
            staged.check(done)
            if not struck or options["kind"] == "short":
                assert done["status"] == 0
            elif options["kind"] in ("kill", "torn"):
                assert done["status"] == -9
            else:
                said = ("error[output]", "error[no-space]")
                assert done["status"] == 0 or (done["status"] == 3 and sum(map(done["err"].count, said)) == 1)
                gone = done["calls"][at - 1] in ("unlink", "rmdir") or options.get("lasting", False)
                assert gone or staged.strange() == set()
            if done["status"] or staged.strange():
                staged.run_cleanly()
        except AssertionError as error:
            raise AssertionError(where) from error
        if not struck:
            break
    assert 5 < at < ENDLESS
