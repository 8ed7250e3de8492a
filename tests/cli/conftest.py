from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

import pytest
from click.testing import CliRunner

from surgery.cli.main import command

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """A safetensors file whose bytes count up, so that no two tensors are equal."""
    header, at = {}, 0
    for key, (dtype, shape) in tensors.items():
        size = prod(shape) * SIZES[dtype]
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = bytes(i % 251 for i in range(at))
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def transformer() -> dict[str, tuple[str, tuple[int, ...]]]:
    found = {"module.embed.weight": ("F32", (50, 8))}
    for i in range(12):
        base = f"module.blocks.{i}"
        found[f"{base}.attn.qkv.weight"] = ("F32", (24, 8))
        found[f"{base}.attn.qkv.bias"] = ("F32", (24,))
        found[f"{base}.norm.weight"] = ("F32", (8,))
        found[f"{base}.norm.bias"] = ("F32", (8,))
    found["module.head.weight"] = ("F32", (10, 8))
    found["module.steps"] = ("I64", ())
    return found


RECIPE = """\
name: plain
description: The wrapper comes off, and fused projections are taken apart.
params:
  weights: {type: path, help: a checkpoint}
  dtype: bfloat16
source: {checkpoint: $weights}
steps:
  - rename: "module.** -> **"
  - convert: "blocks.{i}.attn.qkv -> layer.{i}.(query|key|value) via chunk(dim=0)"
  - filter: {drop: steps}
  - cast: "**.norm -> float32, ** -> $dtype"
output: out.safetensors
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a checkpoint and a recipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    write_safetensors(tmp_path / "model.safetensors", transformer())
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def surgery() -> Callable[..., str]:
    """Run a command line; gives what was typed, stdout, stderr and the exit status as one text."""

    def run(line: str, **env: str) -> str:
        result = CliRunner().invoke(command, shlex.split(line), env=env)
        assert result.exit_code != 70, result.stderr
        found = f"$ surgery {line}\n{result.stdout}"
        if result.stderr:
            found += f"--- stderr\n{result.stderr}"
        return f"{found}--- exit {result.exit_code}\n"

    return run
