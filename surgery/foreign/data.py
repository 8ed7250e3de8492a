"""Lists and mappings that people have: in JSON, YAML or Python's spelling, in a file or on the command line.

Python is parsed and never run: what is no literal is refused.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from surgery.diagnostics import Span, SurgeryError, fail
from surgery.document.characters import decode
from surgery.document.nodes import plain
from surgery.document.parse import parse_document
from surgery.formats.file import open_file
from surgery.suggest import did_you_mean

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
        return _value(_in_python(text, file, name), text, file)
    return plain(parse_document(text, file))


def _inline(text: str) -> Any:
    """A literal of Python, else YAML, of which JSON is a part."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return plain(parse_document(text, "<command line>"))
    try:
        return _value(node, text.strip(), "<command line>")
    except SurgeryError:
        if "true" in text or "null" in text:  # names in Python, values in JSON
            return plain(parse_document(text, "<command line>"))
        raise


def _in_python(text: str, file: str, name: str | None) -> ast.expr:
    """The literal of this name in a source text; without a name, the only one there is."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise fail("import-rule", f"`{file}` is no Python: {error}") from error
    found: dict[str, ast.expr] = {}
    for called, value in _assigned(tree):
        found.setdefault(called, value)
    listed = [called for called, value in found.items() if isinstance(value, ast.Dict | ast.List | ast.Tuple)]
    if name is None and len(listed) != 1:
        note = f"`{file}#NAME` names one of: {', '.join(listed)}" if listed else None
        count = "several dicts and lists" if listed else "no dict and no list"
        raise fail("import-rule", f"`{file}` gives names to {count}", notes=[note] if note else [])
    if name is not None and name not in found:
        near = did_you_mean(name, found)
        raise fail("import-rule", f"`{file}` gives nothing the name `{name}`", notes=[near] if near else [])
    return found[name or listed[0]]


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names, and what they are given: by assignment, and as arguments of calls."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.keyword(arg=str(name), value=ast.Dict() | ast.List() | ast.Tuple() as value):
                yield name, value


def _value(node: ast.expr, text: str, file: str) -> Any:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Dict):
            _no_key_twice(inner, text, file)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        message = "this is no literal: it would have to be run, and nothing is"
        raise fail("import-rule", message, _span(_computed(node), text, file)) from error


def _no_key_twice(node: ast.Dict, text: str, file: str) -> None:
    seen = set()
    for key in node.keys:
        if isinstance(key, ast.Constant):
            if key.value in seen:
                raise fail("import-rule", f"the key {key.value!r} stands twice", _span(key, text, file))
            seen.add(key.value)


def _computed(node: ast.expr) -> ast.expr:
    """The first part of an expression that is no literal."""
    literal = ast.Constant | ast.Dict | ast.List | ast.Tuple | ast.Set | ast.UnaryOp
    return next((i for i in ast.walk(node) if isinstance(i, ast.expr) and not isinstance(i, literal)), node)


def _span(node: ast.expr, text: str, file: str) -> Span:
    lines = text.splitlines()
    line = lines[node.lineno - 1] if node.lineno <= len(lines) else ""
    column = len(line.encode()[: node.col_offset].decode(errors="replace"))
    one_line = node.end_lineno == node.lineno and node.end_col_offset is not None
    length = (node.end_col_offset or 0) - node.col_offset if one_line else len(line) - column
    return Span(file, node.lineno, column + 1, max(1, length), line)
