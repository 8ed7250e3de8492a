"""Where downloads are kept: one directory for each address, one below it for each version of what lies there.

A version bears the server's validator (an ``ETag``, or the time of the last change) in its name, so that a later run
can ask the server whether it is still the current one, and a download that broke off can go on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

__all__ = ["Version", "cache_directory", "versions"]

_NO_VALIDATOR = "none"
_LONGEST = 100


def cache_directory(kind: str) -> Path:
    """The directory of what is kept of one kind: below ``SURGERY_CACHE``, ``XDG_CACHE_HOME`` or ``~/.cache``."""
    own = os.environ.get("SURGERY_CACHE")
    if own:
        return Path(own) / kind
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "surgery" / kind


class Version:
    """One version of what lies at an address.

    Attributes:
        validator: what the server names it by; empty where it names it by nothing.
        file: where it is kept when it is whole.
        part: where the beginning of it is kept, if a download broke off.
    """

    def __init__(self, url: str, validator: str) -> None:
        usable = len(validator.encode()) <= _LONGEST
        self.validator = validator if usable else ""
        name = self.validator.encode().hex() or _NO_VALIDATOR
        self.file = _directory(url) / name / _file_name(url)
        self.part = self.file.with_name(self.file.name + ".part")


def versions(url: str) -> list[Version]:
    """The versions of which something is kept, the latest first."""
    directory = _directory(url)
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    names.sort(key=lambda name: os.stat(directory / name).st_mtime, reverse=True)
    return [
        Version(url, "" if name == _NO_VALIDATOR else bytes.fromhex(name).decode()) for name in names if _ours(name)
    ]


def _ours(name: str) -> bool:
    try:
        return name == _NO_VALIDATOR or bool(bytes.fromhex(name).decode())
    except ValueError:
        return False


def _directory(url: str) -> Path:
    return cache_directory("downloads") / hashlib.sha256(url.encode()).hexdigest()[:32]


def _file_name(url: str) -> str:
    """The last part of the address, as far as it is a file name that cannot surprise."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    kept = "".join(char if char.isalnum() or char in "._-+" else "_" for char in name).lstrip(".")
    return kept[:_LONGEST] or "file"
