"""Real git repositories, made on the spot, served as files and over HTTP on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

AUTHOR = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


class Repository:
    """A git repository with commits of recipes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        environment = {**os.environ, **AUTHOR}
        ended = subprocess.run(
            ["git", "-C", str(self.path), *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes], tag: str | None = None) -> str:
        """Commit files; the commit. A tag that is there moves."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a change")
        if tag:
            self.git("tag", "--force", "-a", tag, "-m", tag)
        self.git("update-server-info")
        return self.git("rev-parse", "HEAD")

    @property
    def file_reference(self) -> str:
        return f"git+file://{self.path}"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SURGERY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def repository(tmp_path: Path) -> Callable[[str], Repository]:
    return lambda name="recipes": Repository(tmp_path / "repositories" / name)


@pytest.fixture
def http_server(tmp_path: Path, git_server: Callable[[Path], str]) -> str:
    """The address under which the repositories are served."""
    (tmp_path / "repositories").mkdir(exist_ok=True)
    return git_server(tmp_path / "repositories")
