"""What a TorchScript archive says of its modules: which of their tensors are parameters, and which are buffers.

The archive holds the code of each class, as text, which begins so::

    class BatchNorm1d(Module):
      __parameters__ = ["weight", "bias", ]
      __buffers__ = ["running_mean", "running_var", "num_batches_tracked", ]

Those two lines are matched; the code is not run. Tensors in neither list are plain attributes, which a state dict does
not have.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from surgery.formats.archive import Archive
from surgery.formats.contents import Placeholder, Trait
from surgery.formats.nodes import children, is_container, is_module
from surgery.tensors.expr import TensorExpr

__all__ = ["add_kinds"]

_CLASS = re.compile(
    r"^class (?P<name>\w+)\(Module\):\n"
    r"  __parameters__ = \[(?P<parameters>[^\]\n]*)\]\n"
    r"  __buffers__ = \[(?P<buffers>[^\]\n]*)\]\n",
    re.MULTILINE,
)
_NAME = re.compile(r'"([^"]*)"')


def add_kinds(archive: Archive, folder: str, tree: Any, traits: dict[TensorExpr, Trait]) -> dict[TensorExpr, Trait]:
    """`traits`, with the form of each tensor of a module: ``parameter``, ``buffer`` or ``attribute``.

    Modules whose code is not in the archive are left as they are.
    """
    known: dict[str, dict[str, dict[str, str]]] = {}
    found = dict(traits)
    for module in _modules(tree):
        path = f"{folder}code/{module.module.replace('.', '/')}.py"
        if path not in known:
            known[path] = _classes(archive, path)
        forms = known[path].get(module.name)
        if forms is None:
            continue
        for name, value in module.state.items():
            trait = found.get(value, Trait()) if isinstance(value, TensorExpr) else None
            if trait is not None and trait.form not in ("parameter", "buffer"):
                found[value] = dataclasses.replace(trait, form=forms.get(name, "attribute"))
    return found


def _modules(tree: Any) -> list[Placeholder]:
    """The script modules of a tree, each once."""
    found: list[Placeholder] = []
    seen: set[int] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not is_container(node) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Placeholder) and is_module(node):
            found.append(node)
        waiting.extend(child for _, child in children(node))
    return found


def _classes(archive: Archive, path: str) -> dict[str, dict[str, str]]:
    """Class -> attribute -> kind, of one file of code."""
    member = archive.members.get(path)
    if member is None:
        return {}
    code = archive.content(member, "pickle").decode("utf-8", "replace")
    return {
        match["name"]: {
            **dict.fromkeys(_NAME.findall(match["parameters"]), "parameter"),
            **dict.fromkeys(_NAME.findall(match["buffers"]), "buffer"),
        }
        for match in _CLASS.finditer(code)
    }
