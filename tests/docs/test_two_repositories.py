"""The page about two repositories, carried out as it stands: its files are written, and its commands run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import surgery

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "recipes-in-repositories.md"


def blocks() -> Iterator[tuple[str, str]]:
    """The first line of each block, behind its marks, and its text."""
    parts = PAGE.read_text(encoding="utf-8").split("```")
    for part in parts[1::2]:
        head, _, body = part.partition("\n")
        yield head, body


def test_the_page_from_its_first_command_to_its_last(tmp_path: Path, git_server: Callable[[Path], str]) -> None:
    # what stands for `github:you` on a machine without a network
    github = git_server(tmp_path)
    own = {name: "you" if name.endswith("NAME") else "you@example.org" for name in _AUTHOR}
    environment = {
        **os.environ,
        **own,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "SURGERY_CACHE": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    here, said = tmp_path, []
    for head, body in blocks():
        body = body.replace("github:you/recipes//", f"{github}/recipes/.git//")
        if head.startswith("yaml "):
            (here / head.removeprefix("yaml ")).write_text(body, encoding="utf-8")
            if head == "yaml main.yaml":
                torch.save({"module.fc.weight": torch.ones(2, 3), "module.fc.bias": torch.ones(2)}, here / "model.pt")
        elif head == "sh":
            # a server of plain files wants to be told of new commits; and the next block goes on where this one ends
            told = f"cd {tmp_path}/recipes && git update-server-info"
            script = f"set -e\n{body}\n({told})\necho :: $PWD"
            ended = subprocess.run(
                ["bash", "-c", script], cwd=here, env=environment, capture_output=True, text=True, check=False
            )
            assert ended.returncode == 0, ended.stdout + ended.stderr
            output, _, place = ended.stdout.rpartition(":: ")
            here = Path(place.strip())
            said.append(output)
    result = surgery.run({"source": str(tmp_path / "project" / "clean.safetensors")}).state_dict
    assert {key: tensor.dtype for key, tensor in result.items()} == dict.fromkeys(
        ("head.weight", "head.bias"), torch.bfloat16
    )
    assert "clean" in (tmp_path / "recipes" / "README.md").read_text()
    assert '+  - filter: {drop: "**.bias"}' in said[-1]
    again = [sys.executable, "-m", "surgery", "run", "main.yaml", "-p", "checkpoint=model.pt", "--locked", "--force"]
    ended = subprocess.run([*again, "--allow", "network"], cwd=here, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "error[drift]" in ended.stderr
    ended = subprocess.run(again, cwd=here, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


_AUTHOR = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
