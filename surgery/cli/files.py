"""Text files that commands read and write."""

from __future__ import annotations

from pathlib import Path

from surgery.document.characters import decode
from surgery.files.text import write_text
from surgery.formats.file import open_file

__all__ = ["read_text", "write_text"]


def read_text(path: str) -> str:
    """The text of a recipe file.

    Raises:
        SurgeryError: it is not there, too large, or no text.
    """
    with open_file(Path(path), path) as opened:
        return decode(opened.whole("recipe"), path)
