from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scenes import LITTER, Scene, State

#: constants that let small files take the way of large ones, past the page cache
DIRECT = {"surgery.files.writer:DIRECT_FILE": 1, "surgery.files.writer:_DIRECT_PIECE": 4096}


class Server:
    """A process that runs command lines in forked children (see `run_server`)."""

    def __init__(self, constants: dict[str, int]) -> None:
        self.constants = constants
        script = Path(__file__).with_name("run_server.py")
        self.process = subprocess.Popen(
            [sys.executable, script, json.dumps(constants)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, directory: Path, argv: tuple[str, ...], **options: Any) -> dict[str, Any]:
        """One run: its ``status`` (negative for a signal), ``out``, ``err``, and the ``calls`` that it made."""
        return self.together({"directory": str(directory), "argv": argv, **options})[0]

    def together(self, *runs: dict[str, Any]) -> list[dict[str, Any]]:
        """Runs that begin at the same moment."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(runs) + "\n")
        self.process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return answers

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Server]]:
    """The server whose runs write through the page cache (``cached``), or past it (``direct``)."""
    begun: dict[str, Server] = {}

    def server(how: str) -> Server:
        if how not in begun:
            begun[how] = Server(DIRECT if how == "direct" else {})
        return begun[how]

    yield server
    for one in begun.values():
        one.close()


@pytest.fixture(scope="session")
def server(servers: Callable[[str], Server]) -> Server:
    return servers("cached")


@pytest.fixture(scope="session")
def torch_zip() -> bytes:
    """A checkpoint as ``torch.save`` writes it, with more than a state dict inside."""
    state = {"a.x": torch.arange(100.0), "a.y": torch.arange(4000.0), "a.t": torch.arange(1500.0).reshape(30, 50).t()}
    file = io.BytesIO()
    torch.save({"epoch": 3, "state_dict": state}, file)
    return file.getvalue()


class Stage:
    """A directory in which a scene is played, and what must hold after every run of it.

    Attributes:
        old: what stands at the outputs before a run, by name.
        new: the same after a run without a fault.
    """

    def __init__(self, scene: Scene, server: Server, directory: Path, torch_zip: bytes) -> None:
        self.scene, self.server, self.directory = scene, server, directory
        self._torch_zip = torch_zip
        self.prepare()
        self.old = scene.states(directory)
        self.new: dict[str, State] = {}
        self.run_cleanly()
        self.new = scene.states(directory)
        assert all(self.new[name] not in (None, self.old[name]) for name in scene.outputs)

    def prepare(self) -> None:
        """Have the inputs and the old outputs in the directory, and nothing else."""
        self.scene.prepare(self.directory, self._torch_zip)

    def run(self, **options: Any) -> dict[str, Any]:
        """The run of the scene; see `Server.run`."""
        return self.server.run(self.directory, self.scene.argv, absent=self.scene.absent, **options)

    def strange(self) -> set[str]:
        """Names in the directory that are neither input nor output."""
        return self.scene.strange(self.directory)

    def check(self, done: dict[str, Any], *, inputs_kept: bool = True) -> None:
        """What holds whatever happened."""
        found = self.scene.states(self.directory)
        for name, state in found.items():
            # two steps swap directories where the system has no single one; the next run undoes half a swap
            aside = state is None and any(f"-{name}.old" in other for other in self.strange())
            known = state in (self.old[name], self.new[name]) or (self.scene.absent and aside)
            assert known, f"{name} is neither the old nor the new"
        assert not inputs_kept or self.scene.kept(self.directory, self._torch_zip), "an input changed"
        assert all(LITTER.fullmatch(name) for name in self.strange())
        assert "Traceback" not in done["err"]
        assert "bug in Surgery" not in done["err"]
        if done["status"] == 0:
            assert found == self.new

    def run_cleanly(self) -> None:
        """A run without a fault, whatever stands there: all is new, and there is no litter."""
        for name in set(self.scene.inputs) & set(self.scene.outputs):
            # a second operation on a result would be another one
            (self.directory / name).write_bytes(self.scene.inputs[name])
        argv = self.scene.argv if self.scene.argv[0] == "run" else (*self.scene.argv, "-f")
        done = self.server.run(self.directory, argv, absent=self.scene.absent)
        assert done["status"] == 0, done["err"]
        assert self.strange() == set()
        assert not self.new or self.scene.states(self.directory) == self.new


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty directory; in memory where that can be, since thousands of runs wait for the disk otherwise."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as found:
        yield Path(found)


@pytest.fixture
def stage(place: Path, servers: Callable[[str], Server], torch_zip: bytes) -> Callable[..., Stage]:
    """The stage of a scene."""
    return lambda scene, how="cached": Stage(scene, servers(how), place, torch_zip)
