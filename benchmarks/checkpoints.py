"""Checkpoint surgery against `cp` and against what a user would write by hand, in paired runs.

    python -m benchmarks.checkpoints --gigabytes 4 --rounds 5 --directory /somewhere/with/space

Every case runs A B A B …, each run a whole process with its output removed before; what is written is flushed between
runs, outside of the time. Printed are medians of seconds and of processor seconds, the median of the ratios of pairs,
and peak memory. Surgery
flushes its output to the disk before it gives it its name, and `cp` does not: `cp+sync` does, and is the fair rival.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import Run, measure, python

HIDDEN = 2048


@dataclass(frozen=True)
class Case:
    name: str
    ours: Sequence[str]
    rivals: dict[str, Sequence[str]]


def measure_anew(command: Sequence[str], output: Path) -> Run:
    """Run a command whose output is not there yet, all that was written before flushed."""
    if output.is_dir():
        shutil.rmtree(output)
    output.unlink(missing_ok=True)
    os.sync()
    return measure(command)


def surgery(source: Path, target: Path, *steps: str) -> list[str]:
    command = python("from surgery.cli.main import main; main()")
    return [*command, "apply", str(source), str(target), *(part for step in steps for part in ("-e", step))]


def copy(source: Path, target: Path, *, sync: bool = False) -> list[str]:
    flush = ' && find "$2" -type f -exec sync {} +' if sync else ""
    return ["sh", "-c", f'cp -r "$1" "$2"{flush}', "sh", str(source), str(target)]


MAKE = """
import json, sys, torch
from pathlib import Path
from safetensors.torch import save_file
directory, layers, hidden = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
shapes = {
    "attn.qkv.weight": (3 * hidden, hidden),
    "attn.qkv.bias": (3 * hidden,),
    "attn.proj.weight": (hidden, hidden),
    "mlp.up.weight": (4 * hidden, hidden),
    "mlp.down.weight": (hidden, 4 * hidden),
    "norm.weight": (hidden,),
}
whole = {f"module.layers.{i}.{k}": torch.randn(shape) * 0.02 for i in range(layers) for k, shape in shapes.items()}
torch.save(whole, directory / "model.pt")
save_file(whole, directory / "model.safetensors")
apart = {}
for key, tensor in whole.items():
    parts = zip("qkv", tensor.chunk(3)) if ".qkv." in key else [("qkv", tensor)]
    apart.update({key.replace("qkv", name): part.contiguous() for name, part in parts})
save_file(apart, directory / "apart.safetensors")
(directory / "shards").mkdir()
weight_map, count = {}, 8
per = -(-layers // count)
for n in range(count):
    part = {k: t for k, t in whole.items() if int(k.split(".")[2]) // per == n}
    if part:
        name = f"model-{n + 1:05}-of-{count:05}.safetensors"
        save_file(part, directory / "shards" / name)
        weight_map.update(dict.fromkeys(part, name))
index = {"metadata": {"total_size": sum(t.nbytes for t in whole.values())}, "weight_map": weight_map}
(directory / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
"""

LOAD = "import sys, torch; from safetensors.torch import load_file, save_file; from safetensors import safe_open\n"
WHOLE = {
    "rename": LOAD
    + "save_file({k.removeprefix('module.'): t for k, t in load_file(sys.argv[1]).items()}, sys.argv[2])",
    "rename-torch": LOAD
    + "sd = torch.load(sys.argv[1], weights_only=True, mmap=True)\n"
    + "torch.save({k.removeprefix('module.'): t for k, t in sd.items()}, sys.argv[2])",
    "convert": LOAD + "save_file(torch.load(sys.argv[1], weights_only=True, mmap=True), sys.argv[2])",
    "keep": LOAD
    + "with safe_open(sys.argv[1], 'pt') as f:\n"
    + "    save_file({k: f.get_tensor(k) for k in f.keys() if k.startswith('module.layers.0.attn.proj')}, sys.argv[2])",
    "keep-torch": LOAD
    + "sd = torch.load(sys.argv[1], weights_only=True, mmap=True)\n"
    + "torch.save({k: t.clone() for k, t in sd.items() if k.startswith('module.layers.0.attn.proj')}, sys.argv[2])",
    "split": LOAD
    + "out = {}\n"
    + "for k, t in load_file(sys.argv[1]).items():\n"
    + "    if '.qkv.' in k:\n"
    + "        for n, part in zip('qkv', t.chunk(3)): out[k.replace('qkv', n)] = part.contiguous()\n"
    + "    else: out[k] = t\n"
    + "save_file(out, sys.argv[2])",
    "join": LOAD
    + "sd = load_file(sys.argv[1])\n"
    + "for k in [k for k in sd if '.attn.q.' in k]:\n"
    + "    parts = [sd.pop(k.replace('.q.', f'.{n}.')) for n in 'qkv']\n"
    + "    sd[k.replace('.q.', '.qkv.')] = torch.cat(parts)\n"
    + "save_file(sd, sys.argv[2])",
    "cast": LOAD + "save_file({k: t.to(torch.bfloat16) for k, t in load_file(sys.argv[1]).items()}, sys.argv[2])",
    "transpose": LOAD
    + "sd = load_file(sys.argv[1])\n"
    + "save_file({k: t.t().contiguous() if t.ndim == 2 else t for k, t in sd.items()}, sys.argv[2])",
}


def cases(directory: Path) -> list[Case]:
    safe, apart, torch_file = (directory / name for name in ("model.safetensors", "apart.safetensors", "model.pt"))
    shards, out = directory / "shards", directory / "out"
    rename = 'rename: "module.** -> **"'
    split = 'convert: "module.layers.{i}.attn.qkv -> module.layers.{i}.attn.(q|k|v) via chunk(dim=0)"'
    join = 'convert: "module.layers.{i}.attn.(q|k|v) -> module.layers.{i}.attn.qkv via concat(dim=0)"'
    keep = 'filter: {keep: "module.layers.0.attn.proj"}'
    to_safe, to_torch, to_shards = out / "a.safetensors", out / "a.pt", out / "a"

    def against_copy(source: Path, target: Path, **more: Sequence[str]) -> dict[str, Sequence[str]]:
        return {"cp": copy(source, target), "cp+sync": copy(source, target, sync=True), **more}

    return [
        Case("rename, sharded safetensors", surgery(shards, to_shards, rename), against_copy(shards, to_shards)),
        Case(
            "rename, one safetensors file",
            surgery(safe, to_safe, rename),
            against_copy(safe, to_safe, **{"whole dict": python(WHOLE["rename"], safe, to_safe)}),
        ),
        Case(
            "rename, torch zip",
            surgery(torch_file, to_torch, rename),
            against_copy(torch_file, to_torch, **{"whole dict": python(WHOLE["rename-torch"], torch_file, to_torch)}),
        ),
        Case(
            "torch zip to safetensors",
            surgery(torch_file, to_safe),
            against_copy(torch_file, to_safe, **{"whole dict": python(WHOLE["convert"], torch_file, to_safe)}),
        ),
        Case(
            "split qkv along dim 0",
            surgery(safe, to_safe, split),
            against_copy(safe, to_safe, **{"whole dict": python(WHOLE["split"], safe, to_safe)}),
        ),
        Case(
            "concatenate q, k, v along dim 0",
            surgery(apart, to_safe, join),
            against_copy(apart, to_safe, **{"whole dict": python(WHOLE["join"], apart, to_safe)}),
        ),
        Case(
            "keep 1% of the tensors, safetensors",
            surgery(safe, to_safe, keep),
            {"safe_open": python(WHOLE["keep"], safe, to_safe)},
        ),
        Case(
            "keep 1% of the tensors, torch zip",
            surgery(torch_file, to_torch, keep),
            {"torch.load": python(WHOLE["keep-torch"], torch_file, to_torch)},
        ),
        Case(
            "cast to bfloat16",
            surgery(safe, to_safe, 'cast: "** -> bfloat16"'),
            {"whole dict": python(WHOLE["cast"], safe, to_safe)},
        ),
        Case(
            "transpose every matrix",
            surgery(safe, to_safe, 'convert: "{k:**} if ndim == 2 -> {k} via transpose(0, 1)"'),
            {"whole dict": python(WHOLE["transpose"], safe, to_safe)},
        ),
    ]


def output_of(command: Sequence[str], out: Path) -> Path:
    return next(Path(part) for part in command if Path(part).parent == out)


def compare(case: Case, out: Path, rounds: int) -> None:
    commands = {"surgery": case.ours, **case.rivals}
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(measure_anew(command, output_of(command, out)))
    for name, found in runs.items():
        seconds = statistics.median(run.seconds for run in found)
        processor = statistics.median(run.processor for run in found)
        memory = max(run.megabytes for run in found)
        pairs = zip(runs["surgery"], found, strict=True)
        ratio = statistics.median(ours.seconds / other.seconds for ours, other in pairs)
        first = name == "surgery"
        figures = f"{seconds:6.2f} s {processor:6.2f} s {memory:6.0f} MB"
        ratios = "" if first else f"  surgery takes {ratio:.2f} of it"
        print(f"{case.name if first else '':36} {name:12} {figures}{ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--directory", type=Path, help="where the files are made, and removed; on a disk, not in memory"
    )
    parser.add_argument("--only", default="", help="cases whose name holds this")
    given = parser.parse_args()
    layers = max(1, round(given.gigabytes * 1e9 / (4 * 12 * HIDDEN * HIDDEN)))
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        directory = Path(name)
        (directory / "out").mkdir()
        subprocess.run(python(MAKE, directory, Path(str(layers)), Path(str(HIDDEN))), check=True)
        for case in cases(directory):
            if given.only in case.name:
                compare(case, directory / "out", given.rounds)


if __name__ == "__main__":
    main()
