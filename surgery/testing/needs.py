"""What a case cannot do without: packages that are installed, and permissions to import them."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterator

from surgery.cases import Case
from surgery.document import ListNode, MapNode, Node, Scalar, texts
from surgery.recipe import Recipe

__all__ = ["unmet"]

_PACKAGE = "package://"


def unmet(recipe: Recipe, case: Case, allow: Collection[str]) -> str:
    """Why a case cannot be tried here; empty where it can. Nothing is imported.

    Args:
        recipe: whose case it is.
        case: the case.
        allow: the permissions that the caller gave.
    """
    own = recipe.document.pairs if isinstance(recipe.document, MapNode) else ()
    nodes = [value for key, value in own if key.value != "tests"]
    if case.source is not None:
        nodes = [value for key, value in own if key.value not in ("tests", "source", "sources")]
    imported = {name: None for node in (*nodes, case.node) if node is not None for name in _imported(node)}
    shipped = {name: None for node in (*nodes, case.node) if node is not None for name in _opened(node)}
    for package in (*imported, *shipped):
        if not _is_installed(package):
            return f"`{package}` is not installed"
    lacking = [f"--allow import:{package}" for package in imported if f"import:{package}" not in allow]
    return f"it imports code: `{' '.join(lacking)}` allows it" if lacking else ""


def _imported(node: Node) -> Iterator[str]:
    """The packages of everything that ``python: package.module:callable`` names."""
    if isinstance(node, ListNode):
        for item in node.items:
            yield from _imported(item)
    if isinstance(node, MapNode):
        for key, value in node.pairs:
            if key.value == "python" and isinstance(value, Scalar) and isinstance(value.value, str):
                package = value.value.partition(":")[0].partition(".")[0]
                if package.isidentifier():
                    yield package
            else:
                yield from _imported(value)


def _opened(node: Node) -> Iterator[str]:
    """The packages of everything that ``package://package/file`` names."""
    for _, text in texts(node):
        if text.startswith(_PACKAGE):
            package = text.removeprefix(_PACKAGE).partition("/")[0]
            if package.isidentifier():
                yield package


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
