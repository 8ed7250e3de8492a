"""Text files that commands read and write."""

from __future__ import annotations

from pathlib import Path

from surgery.document.characters import decode
from surgery.files.atomic import FileDraft
from surgery.files.failures import output_errors
from surgery.files.writer import write_all
from surgery.formats.file import open_file

__all__ = ["read_text", "write_text"]


def read_text(path: str) -> str:
    """The text of a recipe file.

    Raises:
        SurgeryError: it is not there, too large, or no text.
    """
    with open_file(Path(path), path) as opened:
        return decode(opened.whole("recipe"), path)


def write_text(path: str, text: str, *, overwrite: bool) -> None:
    """Write a text file, whole or not at all.

    Raises:
        SurgeryError: it is there and may not be replaced, or cannot be written.
    """
    with FileDraft(Path(path), overwrite=overwrite) as draft:
        with output_errors(Path(path)):
            write_all(draft.descriptor, memoryview(text.encode()), 0)
        draft.publish()
