"""Characters that may not stand in a document, and bytes that are no text at all."""

from __future__ import annotations

import re
import unicodedata

from surgery.diagnostics import fail
from surgery.text import SourceFileText

__all__ = ["check_characters", "decode"]

_MARK = "\ufeff"
# YAML 1.1 allows more ends of lines than editors do; a place would then not be where an editor shows it
_LINE_ENDS = "\x85\u2028\u2029"
_WRONG = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def check_characters(content: str, file: SourceFileText) -> None:
    """Refuse control characters, and what ends a line without looking like it.

    Raises:
        SurgeryError: `yaml`, at the first of them.
    """
    found = _WRONG.search(content)
    if found is None:
        return
    char = found.group()
    line = content.count("\n", 0, found.start())
    column = found.start() - (content.rfind("\n", 0, found.start()) + 1)
    name = unicodedata.name(char, None) or ("a line end" if char in _LINE_ENDS else "a control character")
    note = "in double quotes it can be written as an escape" if char != "\0" else "is this a text file?"
    if "\ud800" <= char <= "\udfff":
        name, note = "half a surrogate pair", "a file whose name is not UTF-8 can be the value of a parameter"
    raise fail("yaml", f"U+{ord(char):04X} ({name}) cannot stand here", file.span(line, column, 1), (note,))


def decode(content: bytes, name: str) -> str:
    """The text of a file, which is UTF-8 with or without a byte order mark.

    Raises:
        SurgeryError: `yaml`, at the first byte that is none.
    """
    try:
        return content.decode("utf-8").removeprefix(_MARK)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", errors="replace").removeprefix(_MARK)
        rest = content[error.start :].split(b"\n", 1)[0][:80].decode("utf-8", errors="replace")
        line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
        file = SourceFileText.of(name, before + rest)
        note = "this looks like UTF-16; save it as UTF-8" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        message = f"the byte 0x{content[error.start]:02X} is not UTF-8"
        raise fail("yaml", message, file.span(line, column, 1), (note,) if note else ()) from None
