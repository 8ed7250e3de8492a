"""A source that is cut or edited while a run goes on: one error and the old output, or all of the right bytes."""

from __future__ import annotations

import dataclasses
import io

import pytest
import torch
from scenes import SCENES, safetensors

#: several windows of reading and writing
TENSORS = {f"a.{n}": 1 << 18 for n in range(9)}


@pytest.fixture(scope="session")
def large_torch_zip():
    file = io.BytesIO()
    torch.save({key: torch.arange(size) for key, size in TENSORS.items()}, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("scene", "how"), [("replaced file", "direct"), ("replaced file", "cached"), ("torch zip", "direct")]
)
@pytest.mark.parametrize("kind", ["cut", "edit"])
def test_a_source_that_changes_at_every_call(stage, large_torch_zip, scene, how, kind):
    found = SCENES[scene]
    (source,) = found.inputs
    content = large_torch_zip if scene == "torch zip" else safetensors(TENSORS)
    staged = stage(dataclasses.replace(found, inputs={source: content}), how)
    whole = staged.run()
    assert whole["status"] == 0, whole
    count = len(whole["calls"])
    refused = 0
    # without a checksum, what is edited before it is opened is another file; by half of the calls it is open
    first = count // 2 if kind == "edit" else 1
    # through the page cache every 64 kB are a call: some of them are enough
    for at in range(first, count - 2, max(1, count // 12)):
        staged.prepare()
        done = staged.run(fault={"at": at, "kind": kind, "path": source})
        staged.check(done, inputs_kept=False)
        assert staged.strange() == set()
        if done["status"]:
            refused += 1
            assert done["status"] == 3, done
            assert done["err"].count("error[source-changed]") == 1, done
    assert refused
