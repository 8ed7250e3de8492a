"""What stands in a checkpoint beside its state dicts, each thing in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from surgery.formats.contents import Blob, Placeholder, Storage
from surgery.formats.nodes import children, is_container, is_optimizer, scalar_value
from surgery.tensors.expr import TensorExpr
from surgery.tensors.spec import format_bytes
from surgery.wording import counted, listed

__all__ = ["describe", "tensors_below"]

_LONGEST = 60
_DEEPEST = 32


def tensors_below(node: Any) -> Iterator[TensorExpr]:
    """The tensors in a node, each once; a container that holds itself is entered once."""
    seen: set[int] = set()
    waiting = [(node, 0)]
    while waiting:
        one, depth = waiting.pop()
        if id(one) in seen or depth > _DEEPEST:
            continue
        seen.add(id(one))
        if isinstance(one, TensorExpr):
            yield one
        elif is_container(one):
            waiting.extend((child, depth + 1) for _, child in children(one))


def describe(node: Any) -> str:
    """A thing in a checkpoint in a few words.

    >>> describe(12), describe("adam"), describe({"lr": 0.1, "betas": [0.9, 0.99]})
    ('12', "'adam'", 'mapping: lr 0.1, betas [0.9, 0.99]')
    """
    if isinstance(node, TensorExpr):
        return f"tensor {node.spec}"
    if is_optimizer(node):
        return f"optimizer: {_optimizer(node)}"
    found = list(tensors_below(node)) if is_container(node) else []
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


def _optimizer(node: Mapping[str, Any]) -> str:
    """``state of 62 parameters (exp_avg, exp_avg_sq, step), 93.6 MB; 1 group: lr 0.001``."""
    state, groups = node["state"], node["param_groups"]
    size = format_bytes(sum(tensor.spec.nbytes for tensor in tensors_below(state)))
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
