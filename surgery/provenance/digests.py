"""SHA-256 digests of files: taken where that costs little or is asked for, several files at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from surgery.formats.additions import UNASKED
from surgery.places.scheme import digest_of

__all__ = ["cheap", "digests", "named_by_hub"]

_THREADS = min(4, os.cpu_count() or 1)


def digests(files: Iterable[str]) -> dict[str, str]:
    """The digests of files, by path.

    Raises:
        SurgeryError: one of them cannot be read.
    """
    wanted = sorted(set(files))
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(wanted, pool.map(lambda path: digest_of(Path(path), path), wanted), strict=True))


def cheap(sizes: Mapping[str, int], budget: int = UNASKED) -> list[str]:
    """The files that are digested unasked: the smallest first, as far as the budget goes.

    >>> cheap({"a": 5, "b": 1, "c": 9}, budget=7)
    ['b', 'a']
    """
    found = []
    for path in sorted(sizes, key=lambda path: (sizes[path], path)):
        budget -= sizes[path]
        if budget < 0:
            break
        found.append(path)
    return found


def named_by_hub(path: str) -> str | None:
    """The digest by which huggingface_hub's cache names a large file; what it would be is not read.

    There ``snapshots/<commit>/<file>`` is a link to ``blobs/<etag>``, and the tag of a large file is its digest.
    """
    blob = Path(os.path.realpath(path))
    name = blob.name
    known = blob.parent.name == "blobs" and len(name) == 64 and not name.strip("0123456789abcdef")
    return name if known and os.path.islink(path) else None
