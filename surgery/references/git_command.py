"""git as a program that is called: what it may do is told to it each time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from surgery.diagnostics import fail

__all__ = ["GitFailed", "git"]

#: seconds that one call may take
_PATIENCE = 600
#: variables that would lead git to another repository, as those that it sets for its own hooks
_MISLEADING = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "maintenance.auto=false",
    "gc.auto=0",
    "protocol.allow=never",
)


class GitFailed(Exception):
    """git ended with an error; `lines` are its last words."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def git(address: str, *arguments: str, at: Path | None = None) -> bytes:
    """What git prints.

    It may speak no protocol but that of `address`, starts no hooks, and asks nobody for a password.

    Args:
        address: of the repository that the call is about.
        arguments: the command and what it takes.
        at: the repository on the disk in which it runs.

    Raises:
        GitFailed: it ended with an error.
        SurgeryError: ``download``: there is no git.
    """
    settings = (*_SETTINGS, f"protocol.{urlsplit(address).scheme}.allow=always")
    options = [word for setting in settings for word in ("-c", setting)]
    where = ["--git-dir", str(at)] if at else []
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
    command = ["git", *options, *where, *arguments]
    try:
        ended = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, env=environment, timeout=_PATIENCE
        )
    except FileNotFoundError as error:
        note = "recipes in repositories are fetched by git itself"
        raise fail("download", "git is not installed", notes=(note,)) from error
    except subprocess.TimeoutExpired as error:
        raise GitFailed([f"git took longer than {_PATIENCE} seconds"]) from error
    if ended.returncode:
        raise GitFailed(ended.stderr.decode("utf-8", "replace").strip().splitlines()[-5:])
    return ended.stdout
