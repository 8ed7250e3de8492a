"""Lists and mappings that people have: in JSON, YAML or Python's spelling, in a file or on the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path, PurePath
from typing import Any

from surgery.diagnostics import SurgeryError
from surgery.document.characters import decode
from surgery.document.nodes import plain
from surgery.document.parse import parse_document
from surgery.foreign.literals import UNPARSABLE, literal, named_literal
from surgery.formats.file import open_file

__all__ = ["read_data"]

_INLINE = ("{", "[", "(")
_NAMED = re.compile(r"(?P<file>.*\.py)#(?P<name>\w+)", re.DOTALL)


def read_data(words: str) -> Any:
    """What `words` stand for: a literal itself, or a file, for one of Python with ``#NAME`` behind it.

    Raises:
        SurgeryError: it cannot be read, or is no literal.

    >>> read_data("{'a': 'b'}")
    {'a': 'b'}
    """
    if words.lstrip().startswith(_INLINE):
        return _inline(words)
    named = _NAMED.fullmatch(words)
    file, name = (named["file"], named["name"]) if named else (words, None)
    with open_file(Path(file), file) as opened:
        text = decode(opened.whole("recipe"), file)
    if PurePath(file).suffix == ".py":
        return named_literal(text, file, name)
    return plain(parse_document(text, file))


def _inline(text: str) -> Any:
    """A literal of Python, else YAML, of which JSON is a part."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except UNPARSABLE:
        return plain(parse_document(text, "<command line>"))
    try:
        return literal(node, text.strip(), "<command line>")
    except SurgeryError:
        if "true" in text or "null" in text:  # names in Python, values in JSON
            return plain(parse_document(text, "<command line>"))
        raise
