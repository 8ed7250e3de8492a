"""Small files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from surgery.files.atomic import FileDraft
from surgery.files.failures import output_errors
from surgery.files.writer import write_all

__all__ = ["write_bytes", "write_text"]


def write_text(path: str | Path, text: str, *, overwrite: bool) -> None:
    """Write a text file, in UTF-8, whole or not at all. Missing directories are made.

    Raises:
        SurgeryError: it is there and may not be replaced, or cannot be written.
    """
    write_bytes(path, text.encode(), overwrite=overwrite)


def write_bytes(path: str | Path, content: bytes, *, overwrite: bool) -> None:
    """Write a file of any content; as `write_text`."""
    with FileDraft(Path(path), overwrite=overwrite) as draft:
        with output_errors(Path(path)):
            write_all(draft.descriptor, memoryview(content), 0)
        draft.publish()
