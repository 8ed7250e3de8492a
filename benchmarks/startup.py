"""Commands that need no torch, beside Python itself, and beside importing torch: what they do not pay for.

python -m benchmarks.startup --rounds 7
"""

from __future__ import annotations

import argparse
import struct
import tempfile
from pathlib import Path

from benchmarks.pairs import compare, python

MAIN = "from surgery.cli.main import main; main()"


def checkpoint(path: Path, keys: int) -> None:
    """A safetensors file of small tensors."""
    names = (
        f'"layers.{i}.weight":{{"dtype":"F32","shape":[1],"data_offsets":[{4 * i},{4 * i + 4}]}}' for i in range(keys)
    )
    header = "{" + ",".join(names) + "}"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(4 * keys))


def recipe(path: Path, rules: int) -> None:
    """A recipe of about that many lines."""
    lines = "".join(f"      old.block.{i}.attn.{{n}} -> new.block.{i}.attention.{{n}}\n" for i in range(rules))
    path.write_text("surgery: 1\nsource: {checkpoint: a.safetensors}\nsteps:\n  - rename: |\n" + lines)


def main() -> None:
    """Compare each command with importing torch alone."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        small, large, file = (Path(folder, name) for name in ("a.safetensors", "b.safetensors", "r.yaml"))
        checkpoint(small, 300)
        checkpoint(large, 10_000)
        recipe(file, 95)
        commands = {
            "--help": ["--help"],
            "check, a recipe of 100 lines": ["check", str(file)],
            "match, 300 keys": ["match", "layers.{i:int} -> blocks.{i}", str(small)],
            "inspect, 300 keys": ["inspect", str(small)],
            "inspect, 10,000 keys": ["inspect", str(large)],
        }
        print("ours, beside `import torch`")
        for name, words in commands.items():
            compare(name, python(MAIN, *words), python("import torch"), rounds)


if __name__ == "__main__":
    main()
