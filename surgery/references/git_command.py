"""git as a program that is called: what it may do is told to it each time."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

from surgery.diagnostics import fail

__all__ = ["GitFailed", "git"]

#: seconds that one call may take
_PATIENCE = 600
#: bytes that one call may print; a small repository can list the same trees inside each other for ever
_MOST = 1 << 26
#: protocols that git's own setting `url.….insteadOf` may lead to
_PROTOCOLS = ("file", "http", "https", "ssh")
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
    "GIT_QUARANTINE_PATH",
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
    "http.followRedirects=initial",
)
#: it asks nobody for a password, in no window either, and takes no object for another
_ENVIRONMENT = {
    "GIT_ASKPASS": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


class GitFailed(Exception):
    """git ended with an error; `lines` are its last words."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def git(*arguments: str, address: str | None = None, at: Path | None = None, given: bytes = b"") -> bytes:
    """What git prints.

    It may speak no protocol but that of `address`, starts no hooks, and asks nobody for a password.

    Args:
        arguments: the command and what it takes.
        address: of the repository that it speaks to; without one, it speaks to nobody.
        at: the repository on the disk in which it runs.
        given: what it reads from its input.

    Raises:
        GitFailed: it ended with an error, takes too long, or prints too much.
        SurgeryError: ``download``: there is no git.
    """
    where = ["--git-dir", str(at)] if at else []
    return _run([*where, *arguments], given, protocol=_protocol(address) if address else "")


def _protocol(address: str) -> str:
    """The protocol of an address; the user's own settings of git may lead to another one."""
    found = _run(["ls-remote", "--get-url", "--", address], b"", protocol="").decode("utf-8", "replace").strip()
    name, mark, _ = found.partition("://")
    if not mark:
        # `host:path` is short for ssh, unless it is a path
        name = "ssh" if re.match(r"[^/]+:", found) and "::" not in found else "file"
    if name not in _PROTOCOLS:
        raise GitFailed([f"its settings lead to `{found}`, and nothing is fetched from there"])
    return name


def _run(arguments: list[str], given: bytes, *, protocol: str) -> bytes:
    command = ["git", *(word for setting in _SETTINGS for word in ("-c", setting)), *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    # a variable, since it counts for more than all settings
    environment |= {**_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": protocol}
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as complaints:
        asked.write(given)
        asked.seek(0)
        try:
            process = subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, stderr=complaints, env=environment)
        except FileNotFoundError as error:
            note = "recipes in repositories are fetched by git itself"
            raise fail("download", "git is not installed", notes=(note,)) from error
        printed = _printed(process)
        complaints.seek(0)
        if process.returncode:
            said = complaints.read(_MOST).decode("utf-8", "replace").splitlines()
            raise GitFailed([line for line in said if line.strip()][-5:])
    return printed


def _printed(process: subprocess.Popen[bytes]) -> bytes:
    """What a process prints until it ends; it is ended where it takes too long, or prints too much."""
    assert process.stdout is not None, "it is a pipe"
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(_PATIENCE, end)
    timer.start()
    try:
        with process:
            printed = process.stdout.read(_MOST + 1)
            if len(printed) > _MOST:
                process.kill()
    finally:
        timer.cancel()
    if len(printed) > _MOST:
        raise GitFailed([f"git printed more than {_MOST} bytes"])
    if late.is_set():
        raise GitFailed([f"git took longer than {_PATIENCE} seconds"])
    return printed
