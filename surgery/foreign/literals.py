"""Literals in the text of a Python file, which is parsed and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from surgery.diagnostics import Span, fail
from surgery.suggest import did_you_mean

__all__ = ["UNPARSABLE", "literal", "named_literal"]

#: what the parser raises for a text that is no Python, or too deep
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_CHANGES = ("append", "clear", "extend", "insert", "pop", "remove", "reverse", "setdefault", "sort", "update")


def named_literal(text: str, file: str, name: str | None) -> Any:
    """The value of a name in a source text; without a name, that of the only dict or list there is.

    Raises:
        SurgeryError: ``import-rule``; there is none, or it would have to be run to be known.
    """
    try:
        tree = ast.parse(text)
    except UNPARSABLE as error:
        raise fail("import-rule", f"`{file}` is no Python: {error}") from error
    found: dict[str, ast.expr] = {}
    for called, value in _assigned(tree):
        found.setdefault(called, value)
    # an empty one is filled by code
    listed = [called for called, value in found.items() if _is_list(value) and next(ast.iter_child_nodes(value), None)]
    if name is None and len(listed) != 1:
        note = f"`{file}#NAME` names one of: {', '.join(listed)}" if listed else None
        count = "several dicts and lists" if listed else "no dict and no list with anything in it"
        raise fail("import-rule", f"`{file}` gives names to {count}", notes=[note] if note else [])
    if name is not None and name not in found:
        near = did_you_mean(name, found)
        raise fail("import-rule", f"`{file}` gives nothing the name `{name}`", notes=[near] if near else [])
    chosen = name or listed[0]
    changed = next(_changes(tree, chosen, found[chosen]), None)
    if changed is not None:
        note = "what comes of it would have to be run, and nothing is; a literal in a file of its own is read"
        raise fail("import-rule", f"`{chosen}` gets another value here", _span(changed, text, file), (note,))
    return literal(found[chosen], text, file)


def literal(node: ast.expr, text: str, file: str) -> Any:
    """The value of an expression that is a literal.

    Raises:
        SurgeryError: ``import-rule``; it is none, or has a key twice.
    """
    for inner in ast.walk(node):
        if isinstance(inner, ast.Dict):
            _no_key_twice(inner, text, file)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        message = "this is no literal: it would have to be run, and nothing is"
        raise fail("import-rule", message, _span(_computed(node), text, file)) from error


def _is_list(node: ast.expr) -> bool:
    return isinstance(node, ast.Dict | ast.List | ast.Tuple)


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names, and what they are given: by assignment, and as arguments of calls."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.keyword(arg=str(name), value=value) if _is_list(value):
                yield name, value


def _changes(tree: ast.AST, name: str, value: ast.expr) -> Iterator[ast.expr]:
    """Where what is called `name` may become something else than `value`, wherever in the text that stands."""
    for node in ast.walk(tree):
        match node:
            case ast.AugAssign(target=ast.Name() as changed):
                pass
            case ast.Subscript(value=ast.Name() as changed, ctx=ast.Store() | ast.Del()):
                pass
            case ast.Call(func=ast.Attribute(value=ast.Name() as changed, attr=method)) if method in _CHANGES:
                pass
            case _:
                continue
        if changed.id == name:
            yield changed
    for called, other in _assigned(tree):
        if called == name and ast.dump(other) != ast.dump(value):
            yield other


def _no_key_twice(node: ast.Dict, text: str, file: str) -> None:
    seen = set()
    for key in node.keys:
        if isinstance(key, ast.Constant):
            if key.value in seen:
                raise fail("import-rule", f"the key {key.value!r} stands twice", _span(key, text, file))
            seen.add(key.value)


def _computed(node: ast.expr) -> ast.expr:
    """The first part of an expression that is no literal."""
    plain = ast.Constant | ast.Dict | ast.List | ast.Tuple | ast.Set | ast.UnaryOp
    return next((i for i in ast.walk(node) if isinstance(i, ast.expr) and not isinstance(i, plain)), node)


def _span(node: ast.expr, text: str, file: str) -> Span:
    lines = text.splitlines()
    line = lines[node.lineno - 1] if node.lineno <= len(lines) else ""
    column = len(line.encode()[: node.col_offset].decode(errors="replace"))
    one_line = node.end_lineno == node.lineno and node.end_col_offset is not None
    length = (node.end_col_offset or 0) - node.col_offset if one_line else len(line) - column
    return Span(file, node.lineno, column + 1, max(1, length), line)
