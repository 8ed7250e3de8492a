"""The parser of the grammar, and the file in which its tables are kept.

Building LALR tables takes longer than parsing a whole recipe, so they are kept in ``grammars/tables.json``, with a
digest of what they were made from. A test keeps that file fresh; where it does not fit (an edited grammar, another
version of lark) or is not there, the tables are built anew. They are plain data: nothing is unpickled; ``make tables``
writes the file.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from surgery.garbage import without_collection
from surgery.resources import resource

__all__ = ["KINDS", "build_tables", "grammar_text", "parser"]

#: the kinds of rules, by what stands on the right of the arrow
KINDS = ("key", "create", "layer", "cast", "device", "init", "set", "tie")
_STARTS = ["lone_selector", "postfix", *(f"{kind}_rule" for kind in KINDS)]
_PAIRS = "pairs"


def grammar_text() -> str:
    """The grammar files, one after the other."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(resource("grammars").glob("[0-9]*.lark")))


def build_tables() -> str:
    """The content of ``grammars/tables.json``: a digest, and lark's tables.

    Lark numbers states and rules in the order of hashes, so the text differs from run to run; all of them fit anywhere.
    """
    data, memo = _build().memo_serialize([TerminalDef, Rule])
    tables = {"digest": _digest(), "data": _encoded(data), "memo": _encoded(memo)}
    return json.dumps(tables, separators=(",", ":"), sort_keys=True) + "\n"


@cache
@without_collection()
def parser() -> lark.Lark:
    """The parser, from the tables that are kept if they fit."""
    file = resource("grammars") / "tables.json"
    if file.is_file():
        tables = json.loads(file.read_bytes(), object_hook=_decoded)
        if tables["digest"] == _digest():
            return lark.Lark.load(tables)
    return _build()


def _digest() -> str:
    return hashlib.sha256(f"{lark.__version__}\n{','.join(_STARTS)}\n{grammar_text()}".encode()).hexdigest()


def _build() -> lark.Lark:
    return lark.Lark(grammar_text(), parser="lalr", lexer="contextual", start=_STARTS, propagate_positions=False)


def _encoded(value: Any) -> Any:
    """A value of lark's tables as JSON; mappings with numbers as keys become lists of pairs."""
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: _encoded(item) for key, item in value.items()}
        return {_PAIRS: [[key, _encoded(item)] for key, item in sorted(value.items())]}
    return [_encoded(item) for item in value] if isinstance(value, list | tuple) else value


def _decoded(value: dict[str, Any]) -> dict[Any, Any]:
    return dict(value[_PAIRS]) if _PAIRS in value else value
