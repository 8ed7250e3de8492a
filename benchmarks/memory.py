"""Time and peak memory of whole runs on checkpoints of growing size: memory does not grow with them.

    python -m benchmarks.memory --gigabytes 1 4 16 --directory /somewhere/with/twice/the/space

The checkpoints are sharded safetensors of float32, each shard of about 1 GB; every shard is written by itself.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.checkpoints import HIDDEN, measure_anew, surgery
from benchmarks.pairs import python

MAKE = """
import json, sys, torch
from pathlib import Path
from safetensors.torch import save_file
directory, shards, hidden = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
shapes = {"attn.qkv.weight": (3 * hidden, hidden), "attn.proj.weight": (hidden, hidden),
          "mlp.up.weight": (4 * hidden, hidden), "mlp.down.weight": (hidden, 4 * hidden), "norm.weight": (hidden,)}
per = max(1, round(1e9 / (4 * 12 * hidden * hidden)))
weight_map = {}
for n in range(shards):
    part = {f"module.layers.{i}.{k}": torch.randn(s) for i in range(n * per, n * per + per) for k, s in shapes.items()}
    name = f"model-{n + 1:05}-of-{shards:05}.safetensors"
    save_file(part, directory / name)
    weight_map.update(dict.fromkeys(part, name))
index = {"metadata": {}, "weight_map": weight_map}
(directory / "model.safetensors.index.json").write_text(json.dumps(index))
"""

STEPS = {
    "rename": 'rename: "module.** -> **"',
    "split qkv": 'convert: "module.layers.{i}.attn.qkv -> module.layers.{i}.attn.(q|k|v) via chunk(dim=0)"',
    "cast to bfloat16": 'cast: "** -> bfloat16"',
    "transpose every matrix": 'convert: "{k:**} if ndim == 2 -> {k} via transpose(0, 1)"',
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--directory", type=Path, help="where the files are made, and removed; on a disk")
    given = parser.parse_args()
    for gigabytes in given.gigabytes:
        with tempfile.TemporaryDirectory(dir=given.directory) as name:
            source, target = Path(name, "in"), Path(name, "out")
            source.mkdir()
            subprocess.run(python(MAKE, source, gigabytes, HIDDEN), check=True)
            for step, text in STEPS.items():
                run = measure_anew([*surgery(source, target, text), "--shard-size", "1GB"], target)
                print(f"{gigabytes:3} GB  {step:24} {run.seconds:6.2f} s {run.megabytes:6.0f} MB", flush=True)
            shutil.rmtree(target)


if __name__ == "__main__":
    main()
