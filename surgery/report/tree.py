"""Tensors as a tree of modules, siblings that are equal but for their number collapsed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from surgery.collapse import KeyPattern, collapse
from surgery.report.lines import Line, piece
from surgery.report.table import Cell, table
from surgery.tensors.spec import Spec, format_bytes
from surgery.wording import counted

__all__ = ["tree_lines"]

_LONGEST_MODULE = 88
#: what stands deeper is one name
_DEEPEST = 200


@dataclass(slots=True)
class _Node:
    """A module or a tensor: `spec` is that of a tensor, and a module may have one too (a key that is a prefix)."""

    spec: Spec | None = None
    children: dict[str, _Node] = field(default_factory=dict)
    tensors: int = 0
    nbytes: int = 0
    #: equal for subtrees that are equal in names, shapes and dtypes
    shape: Hashable = None


def tree_lines(specs: Mapping[str, Spec], *, depth: int | None = None, columns: int | None = None) -> list[Line]:
    """The tree of some keys; with `depth`, no deeper than that.

    Siblings whose names differ in a number only and that hold the same names, shapes and dtypes are one line, such as
    ``layers.{0-11}``; counts and sizes on such a line are of all of them together.

    >>> from surgery.report.lines import plain
    >>> from surgery.tensors.dtype import DTYPES
    >>> specs = {f"layers.{i}.weight": Spec((4, 4), DTYPES["float32"]) for i in range(12)}
    >>> print(plain(tree_lines(specs)), end="")
    layers.{0-11}.weight  768 B  12 × float32 [4, 4]
    """
    root = _Node()
    for key, spec in specs.items():
        node = root
        for segment in key.split(".", _DEEPEST):
            node = node.children.setdefault(segment, _Node())
        node.spec = spec
    _measure(root, {})
    rows: list[list[Cell]] = []
    _rows(root, 0, 1, depth, rows)
    return table(rows, "lrl", columns=columns)


def _measure(node: _Node, shapes: dict[Hashable, int]) -> None:
    """Counts and sizes from the leaves up; equal subtrees get the same number as their shape."""
    for child in node.children.values():
        _measure(child, shapes)
    own = 1 if node.spec else 0
    node.tensors = own + sum(child.tensors for child in node.children.values())
    node.nbytes = (node.spec.nbytes if node.spec else 0) + sum(child.nbytes for child in node.children.values())
    described = (node.spec, tuple((name, child.shape) for name, child in node.children.items()))
    node.shape = shapes.setdefault(described, len(shapes))


def _rows(node: _Node, level: int, times: int, depth: int | None, rows: list[list[Cell]]) -> None:
    for pattern in _alike(node):
        name, child, count = _folded(pattern, node, times)
        label, many = "  " * level + name, f"{count:,} × " if count > 1 else ""
        size = piece(format_bytes(child.nbytes * count), "quiet")
        if child.spec is not None:
            # how many bytes a quantised or sparse tensor takes is not known
            known = child.spec.dtype.kind != "opaque"
            own = piece(format_bytes(child.spec.nbytes * count) if known else "", "quiet")
            rows.append([label, own, f"{many}{child.spec}"])
        inside = _on_one_line(child)
        if inside:
            rows.append([label, size, many + (f"({inside})" if many else inside)])
            continue
        if child.children and child.spec is None:
            rows.append([piece(label, "head"), size, piece(counted(child.tensors * count, "tensor"), "quiet")])
        if child.children and (depth is None or level + 1 < depth):
            _rows(child, level + 1, count, depth, rows)


def _on_one_line(node: _Node) -> str:
    """The tensors of a module without modules, those of one shape together; nothing where that gets too long."""
    if node.spec is not None or not node.children or any(child.children for child in node.children.values()):
        return ""
    names: dict[Spec, list[str]] = {}
    for name, child in node.children.items():
        assert child.spec is not None, "a node without children is a tensor"
        names.setdefault(child.spec, []).append(name)
    text = ", ".join(f"{' '.join(named)} {spec}" for spec, named in names.items())
    return text if len(text) <= _LONGEST_MODULE else ""


def _alike(node: _Node) -> list[KeyPattern]:
    """The children, equal ones together."""
    return collapse(node.children, by=lambda name: node.children[name].shape)


def _folded(pattern: KeyPattern, parent: _Node, times: int) -> tuple[str, _Node, int]:
    """The name of a line, what stands there, and how often: chains of only children are one line."""
    name, node, count = str(pattern), parent.children[pattern.keys[0]], times * len(pattern)
    while node.spec is None and node.children:
        patterns = _alike(node)
        if len(patterns) != 1:
            break
        name = f"{name}.{patterns[0]}"
        node, count = node.children[patterns[0].keys[0]], count * len(patterns[0])
    return name, node, count
