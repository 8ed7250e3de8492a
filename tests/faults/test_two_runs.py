"""Two runs to one output at the same time: it is wholly of one of them; and places that may not be written."""

from __future__ import annotations

import os

import pytest
from scenes import LITTER, safetensors

A, B = safetensors({"a.x": 60_000}), safetensors({"a.x": 60_000}, seed=99)
KINDS = {
    "file": ("out.safetensors", ("-f",)),
    "new file": ("out.safetensors", ()),
    "shards": ("out/", ("-f",)),
    "new shards": ("out/", ()),
    "torch zip": ("out.pt", ("-f",)),
}


def contents(path):
    return {p.name: p.read_bytes() for p in path.iterdir()} if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_one_output_of_two_runs(place, server, cases, kind):
    name, options = KINDS[kind]
    sources = {"one.safetensors": A, "other.safetensors": B}
    for source, content in sources.items():
        (place / source).write_bytes(content)
    runs = [
        {"directory": str(place), "argv": ["apply", source, name, "-e", 'rename: "a.** -> **"', *options]}
        for source in sources
    ]
    alone = []
    for run in runs:
        assert server.together(run)[0]["status"] == 0
        alone.append(contents(place / name))
        remove(place / name)
    assert alone[0] != alone[1]
    done_by = set()
    for _ in range(cases(20)):
        done = server.together(*runs)
        found = contents(place / name)
        assert found in alone, "two runs are mixed"
        done_by.add(alone.index(found))
        statuses = sorted(one["status"] for one in done)
        assert statuses in ([0, 0], [0, 3]), done
        refused = [one["err"] for one in done if one["status"]]
        assert all(text.count("error[output") == 1 for text in refused)
        if "-f" not in options:
            assert len(refused) == 1
            remove(place / name)
        assert not [n for n in os.listdir(place) if LITTER.fullmatch(n)]
    assert done_by


def remove(path):
    if path.is_dir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    else:
        path.unlink()


NOBODY = 65534


@pytest.mark.parametrize("name", ["out.safetensors", "out/", "new/out.pt"])
def test_a_directory_that_may_not_be_written(place, server, name):
    (place / "in.safetensors").write_bytes(A)
    locked = place / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    run = {"directory": str(place), "argv": ["apply", "in.safetensors", f"locked/{name}", "-f"]}
    if os.geteuid() == 0:
        # whoever may do everything becomes somebody who may not
        place.chmod(0o755)
        run["uid"] = NOBODY
    (done,) = server.together(run)
    assert done["status"] == 3, done
    assert done["err"].count("error[output]") == 1
    assert "is not writable" in done["err"]
    assert done["calls"] == []
    assert os.listdir(locked) == []
