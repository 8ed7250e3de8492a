"""What the fault tests run: inputs, what stands at the output before, and a command line."""

from __future__ import annotations

import errno
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LITTER", "SCENES", "Scene", "State", "safetensors", "strace_works"]

#: names of what is unfinished, or set aside
LITTER = re.compile(r"\.surgery-[0-9a-f]{16}.*")

#: what an output is: absent, a file, or a directory of files
State = None | bytes | dict[str, bytes]


def safetensors(sizes: Mapping[str, int], seed: int = 0) -> bytes:
    """A file of float32 vectors; their bytes count up from `seed`."""
    header, at = {}, 0
    for key, size in sizes.items():
        header[key] = {"dtype": "F32", "shape": [size], "data_offsets": [at, at + 4 * size]}
        at += 4 * size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes((seed + i) % 251 for i in range(at))


def strace_works() -> bool:
    """Whether processes can be traced here."""
    try:
        return subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Scene:
    """One run.

    Attributes:
        inputs: files by name; those that are no output stay as they are. None stands for a torch zip file.
        old: what stands at the outputs before, by name; directories' files have a slash in their names.
        outputs: names of files and directories.
        absent: system calls that the system does not have.
    """

    argv: tuple[str, ...]
    inputs: Mapping[str, bytes | None]
    outputs: tuple[str, ...]
    old: Mapping[str, bytes] = field(default_factory=dict)
    absent: Mapping[str, int] = field(default_factory=dict)

    def prepare(self, directory: Path, torch_zip: bytes) -> None:
        """Make `directory` hold the inputs and the old outputs, and nothing else."""
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for name, content in {**self.inputs, **self.old}.items():
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(torch_zip if content is None else content)

    def states(self, directory: Path) -> dict[str, State]:
        """What stands at each output."""
        return {name: _state(directory / name) for name in self.outputs}

    def kept(self, directory: Path, torch_zip: bytes) -> bool:
        """Whether the inputs, but for those that are outputs, are what they were."""
        pure = {name: content for name, content in self.inputs.items() if name not in self.outputs}
        return all(
            (directory / name).read_bytes() == (torch_zip if content is None else content)
            for name, content in pure.items()
        )

    def strange(self, directory: Path) -> set[str]:
        """Names in `directory` that are neither input nor output."""
        return {path.name for path in directory.iterdir()} - {*self.inputs, *self.outputs}


def _state(path: Path) -> State:
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes() if path.exists() else None


_SIZES = {"a.x": 100, "a.y": 4000, "a.z": 1500}
_INPUT = {"in.safetensors": safetensors(_SIZES)}
_OLD = safetensors({"old": 30}, seed=7)
_RENAME = ("-e", 'rename: "optional a.** -> **"')
_FILE = ("apply", "in.safetensors", "out.safetensors", *_RENAME)
_SHARDS = ("apply", "in.safetensors", "out/", "--shard-size", "8kB", *_RENAME)
_OLD_SHARDS = {
    "out/model-00001-of-00002.safetensors": safetensors({"x": 30}, seed=7),
    "out/model-00002-of-00002.safetensors": safetensors({"y": 30}, seed=9),
    "out/model.safetensors.index.json": b'{"weight_map": {}}',
}
_SEVERAL = b"""\
source: {checkpoint: in.safetensors}
steps:
  - rename: "optional a.** -> **"
output: [{path: first.safetensors, overwrite: true}, {path: out/, overwrite: true}, {path: last.pt, overwrite: true}]
"""

SCENES = {
    "new file": Scene(_FILE, _INPUT, ("out.safetensors",)),
    "replaced file": Scene((*_FILE, "-f"), _INPUT, ("out.safetensors",), {"out.safetensors": _OLD}),
    "in place": Scene(("apply", "in.safetensors", "in.safetensors", *_RENAME, "-f"), _INPUT, ("in.safetensors",)),
    "no hard links": Scene(_FILE, _INPUT, ("out.safetensors",), absent={"link": errno.EPERM}),
    "new shards": Scene(_SHARDS, _INPUT, ("out",)),
    "replaced shards": Scene((*_SHARDS, "-f"), _INPUT, ("out",), _OLD_SHARDS),
    "no exchange": Scene((*_SHARDS, "-f"), _INPUT, ("out",), _OLD_SHARDS, absent={"renameat2": errno.ENOSYS}),
    "torch zip": Scene(("apply", "in.pt", "out.pt", *_RENAME, "-f"), {"in.pt": None}, ("out.pt",), {"out.pt": _OLD}),
    "several": Scene(
        ("run", "recipe.yaml"),
        {**_INPUT, "recipe.yaml": _SEVERAL},
        ("first.safetensors", "out", "last.pt"),
        {"first.safetensors": _OLD, **_OLD_SHARDS, "last.pt": _OLD},
    ),
}
