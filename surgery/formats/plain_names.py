"""Names of files that stand in data: judged as they are written, not by what they lead to."""

from __future__ import annotations

import re

__all__ = ["is_plain"]

_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:")
_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f]|://")


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same directory, or below it.

    >>> is_plain("model-00001-of-00002.safetensors"), is_plain("../model.safetensors")
    (True, False)
    """
    parts = name.split("/")
    return not (
        _FORBIDDEN.search(name)
        or _WINDOWS_DRIVE.match(name)
        or name.startswith("~")
        or any(part in ("", ".", "..") for part in parts)
    )
