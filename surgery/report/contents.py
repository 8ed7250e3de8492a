"""What stands in a checkpoint beside its state dicts, each thing in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.formats.contents import Blob, Placeholder, Storage
from surgery.formats.nodes import children, is_container, is_optimizer, scalar_value, tensors_in
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import format_bytes
from surgery.wording import counted, listed

__all__ = ["node_words"]

_LONGEST = 60


def node_words(node: Any) -> str:
    """A thing in a checkpoint in a few words.

    >>> node_words(12), node_words("adam"), node_words({"lr": 0.1, "betas": [0.9, 0.99]})
    ('12', "'adam'", 'mapping: lr 0.1, betas [0.9, 0.99]')
    """
    if isinstance(node, TensorExpr):
        return f"tensor {node.spec}"
    if is_optimizer(node):
        return f"optimizer: {_optimizer(node)}"
    found = _tensors(node) if is_container(node) else []
    if found:
        what = str(node) if isinstance(node, Placeholder) else "mapping" if isinstance(node, Mapping) else "list"
        size = format_bytes(sum(tensor.spec.nbytes for tensor in found))
        return f"{what} with {counted(len(found), 'tensor')}, {size}"
    if isinstance(node, Mapping):
        return f"mapping: {_pairs(node)}" if node else "empty mapping"
    if isinstance(node, Placeholder) and scalar_value(node) is None:
        return f"object of {node}, not loaded"
    if isinstance(node, Storage | Blob):
        return f"raw bytes, {format_bytes(node.range.length)}"
    return _short(node)


def _tensors(node: Any) -> list[TensorExpr]:
    """The tensors in a node, each once."""
    return list(dict.fromkeys(expr for _, expr in tensors_in(node)))


def _optimizer(node: Mapping[str, Any]) -> str:
    """``state of 62 parameters (exp_avg, exp_avg_sq, step), 93.6 MB; 1 group: lr 0.001``."""
    state, groups = node["state"], node["param_groups"]
    size = format_bytes(sum(tensor.spec.nbytes for tensor in _tensors(state)))
    slots = dict.fromkeys(name for _, one in children(state) if is_container(one) for name, _ in children(one))
    count = sum(1 for _ in children(state))
    words = f"state of {counted(count, 'parameter')}"
    if slots:
        words += f" ({', '.join(sorted(slots))}), {size}"
    options = [f"lr {group['lr']}" for group in groups if isinstance(group, Mapping) and "lr" in group]
    words += f"; {counted(len(groups), 'group')}"
    return f"{words}: {', '.join(options[:4])}" if options else words


def _pairs(node: Mapping[Any, Any]) -> str:
    shown = [
        f"{key} {_short(value) if not is_container(value) or _flat(value) else '…'}" for key, value in node.items()
    ]
    return listed(shown, 6, mark="")


def _flat(node: Any) -> bool:
    return not is_container(node) or (isinstance(node, list | tuple) and not any(map(is_container, node)))


def _short(node: Any) -> str:
    if isinstance(node, list | tuple):
        if len(node) > 6 or any(map(is_container, node)):
            return f"list of {len(node)}"
        return f"[{', '.join(map(_short, node))}]"
    number = scalar_value(node)
    if isinstance(node, Placeholder) and number is None:
        return str(node)
    text = repr(node if number is None else number)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
