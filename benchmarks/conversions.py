"""Whole conversions between implementations, streaming, beside the usual script that holds the whole dict.

    python -m benchmarks.conversions --gigabytes 4 --rounds 3 --directory /somewhere/with/space

A transformer's checkpoint in shards of safetensors (float32), paired runs A B A B … as in `benchmarks.checkpoints`:

- the fused qkv of each layer is split along its last dimension, and everything renamed;
- every linear layer is transposed, GPT-2's way to torch's, and the fused qkv split;
- the experts of each layer are stacked, and transposed.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from benchmarks.checkpoints import Case, compare, surgery
from benchmarks.pairs import python

HIDDEN, EXPERTS = 2048, 32

MAKE = """
import json, sys, torch
from pathlib import Path
from safetensors.torch import save_file
directory, shards, hidden, experts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
dense = {"attn.c_attn.weight": (hidden, 3 * hidden), "attn.c_attn.bias": (3 * hidden,),
         "attn.c_proj.weight": (hidden, hidden), "mlp.c_fc.weight": (hidden, 4 * hidden),
         "mlp.c_proj.weight": (4 * hidden, hidden), "ln_1.weight": (hidden,)}
mixed = {f"mlp.experts.{e}.w1.weight": (hidden, hidden * 3 // 8) for e in range(experts)}
for name, shapes in (("dense", dense), ("mixed", mixed)):
    (directory / name).mkdir()
    per = max(1, round(1e9 / (4 * sum(torch.Size(shape).numel() for shape in shapes.values()))))
    weight_map = {}
    for n in range(shards):
        layers = range(n * per, n * per + per)
        part = {f"h.{i}.{key}": torch.randn(shape) for i in layers for key, shape in shapes.items()}
        file = f"model-{n + 1:05}-of-{shards:05}.safetensors"
        save_file(part, directory / name / file)
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / name / "model.safetensors.index.json").write_text(json.dumps(index))
"""

LOAD = """
import sys, torch
from pathlib import Path
from safetensors.torch import load_file, save_file
sd = {}
for shard in sorted(Path(sys.argv[1]).glob("*.safetensors")):
    sd.update(load_file(shard))
out = {}
"""
BY_HAND = {
    "split": LOAD
    + """
for key, tensor in sd.items():
    key = key.replace("h.", "layers.", 1)
    if ".c_attn." in key:
        for name, part in zip("qkv", tensor.chunk(3, dim=-1)):
            out[key.replace("c_attn", name)] = part.contiguous()
    else:
        out[key] = tensor
save_file(out, sys.argv[2])
""",
    "transpose": LOAD
    + """
for key, tensor in sd.items():
    key = key.replace("h.", "layers.", 1)
    if tensor.ndim == 2:
        tensor = tensor.t().contiguous()
    if ".c_attn." in key:
        for name, part in zip("qkv", tensor.chunk(3)):
            out[key.replace("c_attn", name)] = part.contiguous()
    else:
        out[key] = tensor
save_file(out, sys.argv[2])
""",
    "stack": LOAD
    + """
from collections import defaultdict
layers = defaultdict(dict)
for key, tensor in sd.items():
    _, layer, _, _, expert, *_ = key.split(".")
    layers[layer][int(expert)] = tensor.t()
for layer, found in layers.items():
    out[f"layers.{layer}.mlp.experts.w1"] = torch.stack([found[e] for e in sorted(found)])
save_file(out, sys.argv[2])
""",
}


def cases(directory: Path) -> list[Case]:
    out = directory / "out" / "a.safetensors"
    dense, mixed = directory / "dense", directory / "mixed"
    move = "h.{i}.{rest:**} -> layers.{i}.{rest}"
    split = "h.{i}.attn.c_attn -> layers.{i}.attn.(q|k|v) via chunk(dim=-1)"
    bias = "h.{i}.attn.c_attn.bias -> layers.{i}.attn.(q|k|v).bias via chunk"
    turned = "h.{i}.attn.c_attn.weight -> layers.{i}.attn.(q|k|v).weight via transpose(0, 1) | chunk"
    others = "h.{i}.{rest:**} if ndim == 2 -> layers.{i}.{rest} via transpose(0, 1)"
    stack = "h.{i}.mlp.experts.{e:int}.w1.weight -> layers.{i}.mlp.experts.w1 via transpose(0, 1) | stack"
    return [
        Case(
            "split fused qkv",
            surgery(dense, out, f'convert: "{split}, {move}"'),
            {"whole dict": python(BY_HAND["split"], dense, out)},
        ),
        Case(
            "transpose every linear, split qkv",
            surgery(dense, out, f'convert: "{turned}, {bias}, {others}, {move}"'),
            {"whole dict": python(BY_HAND["transpose"], dense, out)},
        ),
        Case(
            f"stack {EXPERTS} experts, transposed",
            surgery(mixed, out, f'convert: "{stack}"'),
            {"whole dict": python(BY_HAND["stack"], mixed, out)},
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="where the files are made, and removed; on a disk")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        directory = Path(name)
        (directory / "out").mkdir()
        subprocess.run(python(MAKE, directory, given.gigabytes, HIDDEN, EXPERTS), check=True)
        for case in cases(directory):
            compare(case, directory / "out", given.rounds)


if __name__ == "__main__":
    main()
